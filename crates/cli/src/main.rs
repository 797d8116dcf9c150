//! Reads the command line, runs the command, and turns its end into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use rollcall_cli::{Cli, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}
