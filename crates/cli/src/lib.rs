//! rollcallctl, the operator's and developer's command line: apps and tokens for who runs a server, statuses and
//! subscriptions for who wants to see one at work.
//!
//! Where to start reading: `args` is the command line, `commands` has one module for each command, `session` is
//! what commands that log in share, `server` what commands for operators do, `failure` says how a command ends. What other users wrote reaches a terminal
//! through `escape` only.

mod admin;
mod args;
mod authority;
mod clock;
mod commands;
mod escape;
mod failure;
mod output;
mod server;
mod session;

pub use args::Cli;
pub use failure::Failure;

/// Runs a command to its end.
pub fn run(cli: Cli) -> Result<(), Failure> {
    // Two workers: while a listener waits for a slow terminal, the other one keeps the connection alive.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::System)?;
    match runtime.block_on(commands::run(cli.command)) {
        // Whoever reads our output has had enough, as in `rollcallctl watch bob | head -1`.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}
