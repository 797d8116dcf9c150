//! The command line of the load generator.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Parser;
use rollcall_bench::{fanout, gateway, output::Output, traffic};
use serde::Serialize;

/// Puts load on a Rollcall server and measures it.
///
/// Progress goes to standard error, the result to standard output. The exit code is 0 if everything was served
/// right, whatever it took; 1 if a call was refused, a status went missing or came in the wrong order, or the
/// run could not be made.
#[derive(Debug, Parser)]
#[command(version)]
enum Arguments {
    Fanout(fanout::Options),
    Gateway(gateway::Options),
    /// Hold a part of the clients of `gateway`, which starts it
    #[command(hide = true)]
    Generator(gateway::Generator),
    Traffic(traffic::Options),
}

/// One thread, and one that only keeps the pace of changes: the generator takes one processor at most and leaves
/// the others to the server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = tokio::select! {
        done = run(Arguments::parse()) => done,
        // The server goes with the run.
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments {
        Arguments::Fanout(options) => {
            let report = fanout::run(&options).await?;
            show(options.output, &report, || report.to_table())?;
            report.verdict()
        }
        Arguments::Gateway(options) => {
            let program = std::env::current_exe().context("where this program lies")?;
            let report = gateway::run(&options, &program).await?;
            show(options.output, &report, || report.to_table())
        }
        Arguments::Generator(generator) => gateway::generate(&generator).await,
        Arguments::Traffic(options) => {
            let report = traffic::run(&options).await?;
            show(options.output, &report, || report.to_table())?;
            report.verdict()
        }
    }
}

fn show(output: Output, report: &impl Serialize, to_table: impl Fn() -> String) -> anyhow::Result<()> {
    match output {
        Output::Table => print!("{}", to_table()),
        Output::Json => println!("{}", serde_json::to_string_pretty(report)?),
    }
    Ok(())
}
