//! The command line of the load generator.

use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;
use rollcall_bench::{fanout, output::Output};

/// Puts load on a Rollcall server and measures it.
///
/// Progress goes to standard error, the result to standard output. The exit code is 0 if everything was served
/// right, whatever it took; 1 if a call was refused, a status went missing or came in the wrong order, or the
/// run could not be made.
#[derive(Debug, Parser)]
#[command(version)]
enum Arguments {
    Fanout(fanout::Options),
}

/// One thread, and one that only keeps the pace of changes: the generator takes one processor at most and leaves
/// the others to the server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments::Fanout(options) = Arguments::parse();
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &fanout::Options) -> anyhow::Result<()> {
    let report = tokio::select! {
        report = fanout::run(options) => report?,
        // The server goes with the run.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    match options.output {
        Output::Table => print!("{}", report.to_table()),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    report.verdict()
}
