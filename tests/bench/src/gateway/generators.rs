//! The generators, as whoever gives the orders knows them.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{
    generator::{Answer, Order},
    options::Options,
};

/// All generators of a run. They end with this.
pub(super) struct Generators(Vec<Process>);

struct Process {
    /// Keeps the process alive.
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Generators {
    /// Starts them: `program` is this one.
    pub(super) fn start(options: &Options, program: &Path) -> anyhow::Result<Self> {
        let generators = (0..options.generators).map(|number| Process::start(options, program, number));
        Ok(Self(generators.collect::<anyhow::Result<_>>()?))
    }

    /// Orders all to do something, and waits until they have.
    pub(super) async fn obey(&mut self, order: &Order) -> anyhow::Result<()> {
        self.order(order).await?;
        self.answers().await?;
        Ok(())
    }

    /// Orders all to do something, without waiting.
    pub(super) async fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let line = serde_json::to_string(order)? + "\n";
        for Process { orders, .. } in &mut self.0 {
            orders.write_all(line.as_bytes()).await.context("a generator is gone")?;
        }
        Ok(())
    }

    /// Waits until all have done what they were ordered, and returns the latest moment that one tells.
    pub(super) async fn answers(&mut self) -> anyhow::Result<u64> {
        let mut latest = 0;
        for Process { answers, .. } in &mut self.0 {
            let line = answers.next_line().await?.context("a generator ended")?;
            match serde_json::from_str(&line).with_context(|| format!("{line:?} is no answer"))? {
                Answer::Done(at_us) => latest = latest.max(at_us),
                Answer::Failed(failure) => bail!("{failure}"),
            }
        }
        Ok(latest)
    }
}

impl Process {
    fn start(options: &Options, program: &Path, number: usize) -> anyhow::Result<Self> {
        let mut command = match &options.generator_cpus {
            Some(cpus) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cpus]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .arg("generator")
            .args(options.generator(number))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let orders = child.stdin.take().context("a generator without input")?;
        let answers = child.stdout.take().context("a generator without output")?;
        Ok(Self { _child: child, orders, answers: BufReader::new(answers).lines() })
    }
}
