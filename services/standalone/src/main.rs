//! The binary `rollcall`.

use std::{
    error::Error as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use rollcall::{Args, Error};

#[tokio::main]
async fn main() -> ExitCode {
    match rollcall::run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "rollcall: {}", with_causes(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
