//! The binary `rollcall`.

use std::process::ExitCode;

use clap::Parser as _;
use rollcall::Args;

#[tokio::main]
async fn main() -> ExitCode {
    match rollcall::run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => rollcall_process::exit("rollcall", &error, error.exit_code()),
    }
}
