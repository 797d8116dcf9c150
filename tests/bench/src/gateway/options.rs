//! What a run is told on the command line.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::{output::Output, usage};

const EXAMPLES: &str = "\
Examples:
  rollcall-bench gateway
  rollcall-bench gateway --clients 500 --idle 5s --peer \"$(scripts/setup-peer)\"
  taskset -c 0 rollcall-bench gateway --clients 15000 --generator-cpus 1 --peer \"$(scripts/setup-peer)\"

In the last all servers are on one processor and the generators on the other, which then never sleep: whoever writes to a
receiver that sleeps pays for waking it. The programs of the services lie beside this one. Build all for release before you
compare numbers:
  make setup && cargo build --release --workspace --bins";

/// The most ids in one call of subscribe (SPEC D1).
const MAX_SUBSCRIPTIONS: usize = 100;
/// What each generator, and each server, holds open besides the clients.
const OTHERS: usize = 100;

/// Measures what connections cost the process of a gateway, beside a peer.
///
/// Starts one process of each service, Redis and NATS (those of `make setup`), and the peer if one is named; and generators,
/// processes that share the clients. All clients connect, log in, and subscribe: to one user whom all watch, the star, and
/// to some of each other. Then they are idle but for heartbeats. Then the star changes their status, again and again, each
/// time when all have heard of the change before; with a peer, by turns at the one and the other. After each phase the
/// processor time and the memory in RAM of each process are read.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    /// Clients of each server, each with a user of its own
    #[arg(long, default_value_t = 1000)]
    pub clients: usize,
    /// Users that each client subscribes to, the star among them: 1 to 100, and no more than there are clients
    #[arg(long, default_value_t = 20)]
    pub subscriptions: usize,
    /// Generators
    #[arg(long, default_value_t = 2)]
    pub generators: usize,
    /// Calls under way at once in each generator
    #[arg(long, default_value_t = 32, value_name = "CALLS")]
    pub parallel: usize,
    /// Time to be idle; whole multiples of the time between heartbeats, and of the 100s in which a gateway tells presence
    /// of each session once, hold a fair share of both
    #[arg(long, default_value = "100s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub idle: Duration,
    /// Time between two heartbeats of a client
    #[arg(long, default_value = "25s", value_parser = heartbeat, value_name = "DURATION")]
    pub heartbeat: Duration,
    /// Changes of the star
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub changes: u64,
    /// Longest wait for what must arrive
    #[arg(long, default_value = "120s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub limit: Duration,
    /// Processors that the generators may use, as taskset reads them, and do use all the time; what else is started
    /// may use those that this program may [default: all, and no more than they need]
    #[arg(long, value_name = "CPUS")]
    pub generator_cpus: Option<String>,
    /// Measure Centrifugo too: its program, which scripts/setup-peer installs and tells. It reads the variables that Go
    /// does, such as GOGC
    #[arg(long, value_name = "FILE")]
    pub peer: Option<PathBuf>,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

impl Options {
    /// Checks what no single number shows.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Self { clients, subscriptions, generators, parallel, .. } = *self;
        anyhow::ensure!(
            (1..=MAX_SUBSCRIPTIONS).contains(&subscriptions) && subscriptions <= clients,
            "{subscriptions} subscriptions of {clients} clients, expected 1 to {MAX_SUBSCRIPTIONS} and no more than \
             there are clients"
        );
        anyhow::ensure!(
            (1..=clients).contains(&generators),
            "{generators} generators, expected 1 to {clients}: each has a client"
        );
        anyhow::ensure!(parallel > 0, "0 calls under way at once, expected at least 1");
        if let Some(peer) = &self.peer {
            anyhow::ensure!(
                peer.is_file(),
                "{} is not there: scripts/setup-peer installs it",
                peer.display()
            );
        }
        let servers = 1 + usize::from(self.peer.is_some());
        usage::check_open_files(clients.max(clients.div_ceil(generators) * servers) + OTHERS)
    }

    /// Returns the arguments of a generator.
    pub(super) fn generator(&self, number: usize) -> Vec<String> {
        let Self { clients, subscriptions, generators, parallel, .. } = self;
        let (heartbeat, limit) = (self.heartbeat.as_millis(), self.limit.as_millis());
        let mut arguments = vec![
            format!("--number={number}"),
            format!("--generators={generators}"),
            format!("--clients={clients}"),
            format!("--subscriptions={subscriptions}"),
            format!("--parallel={parallel}"),
            format!("--heartbeat-ms={heartbeat}"),
            format!("--limit-ms={limit}"),
        ];
        // Elsewhere the servers would have to wait for a processor.
        arguments.extend(self.generator_cpus.is_some().then(|| "--poll".to_owned()));
        arguments
    }
}

fn heartbeat(text: &str) -> Result<Duration, String> {
    let heartbeat = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    // The peer awaits the answer to one before it sends the next, and counts in whole seconds.
    if heartbeat < Duration::from_secs(2) || heartbeat.subsec_nanos() > 0 {
        return Err("expected 2s or more, in whole seconds".to_owned());
    }
    Ok(heartbeat)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::generator::Generator, *};

    #[derive(Debug, Parser)]
    struct Line<T: Args> {
        #[command(flatten)]
        arguments: T,
    }

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Line::try_parse_from(["bench"].into_iter().chain(line.split_whitespace())).map(|line| line.arguments)
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        parse("").unwrap().check().unwrap();
        for line in [
            "--clients 19",
            "--subscriptions 0",
            "--subscriptions 101",
            "--clients 30 --generators 31",
            "--generators 0",
            "--parallel 0",
            "--peer no-such-file",
            "--clients 100000000",
        ] {
            parse(line).unwrap().check().unwrap_err();
        }
        for line in ["--heartbeat 1s", "--heartbeat 2500ms", "--changes 0", "--idle never"] {
            parse(line).unwrap_err();
        }
    }

    #[test]
    fn a_generator_reads_what_it_is_started_with() {
        let read = |line: &str, number| {
            let arguments = parse(line).unwrap().generator(number);
            let line = ["bench".to_owned()].into_iter().chain(arguments);
            Line::<Generator>::try_parse_from(line).unwrap().arguments
        };
        let generator = read("--clients 30 --heartbeat 3s --limit 4s --generator-cpus 1", 1);
        assert_eq!((generator.number, generator.generators, generator.clients), (1, 2, 30));
        assert_eq!((generator.heartbeat_ms, generator.limit_ms, generator.poll), (3000, 4000, true));
        assert!(!read("", 0).poll);
    }
}
