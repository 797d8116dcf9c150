//! Why a process cannot start, or stopped.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Any error, with its causes.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Says why a process cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is refused.
    #[error(transparent)]
    Config(rollcall_runtime::Error),
    /// A part of the process failed, or could not be set up.
    #[error(transparent)]
    Runtime(#[from] rollcall_runtime::Error),
    /// The threads of the process cannot be started.
    #[error("threads cannot be started")]
    Threads(#[source] io::Error),
    /// An engine cannot be used.
    #[error("{engine} cannot be used, see {engine}.url")]
    Engine {
        /// The section of the configuration that names it.
        engine: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A service cannot be set up, or failed.
    #[error("{service} failed")]
    Service {
        /// The service.
        service: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The addresses cannot be written.
    #[error("addresses cannot be written to {}, expected a path in a folder that can be written to", path.display())]
    AddressesFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// Standard output cannot be written to.
    #[error("standard output cannot be written to")]
    Output(#[source] io::Error),
}

impl Error {
    /// Returns the exit code of the process: 2 for what the caller has to put right in its configuration, as clap
    /// does for flags, 1 else.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Config(_)) { 2 } else { 1 }
    }
}

/// Tells an error with its causes on standard error, and returns the exit code.
pub fn exit(program: &str, error: &(dyn std::error::Error + 'static), code: u8) -> ExitCode {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // Nowhere is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "{program}: {text}");
    ExitCode::from(code)
}
