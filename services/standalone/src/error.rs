//! Why the process cannot start, or stopped.

use std::{path::PathBuf, time::Duration};

/// Says why the process cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is refused.
    #[error(transparent)]
    Config(rollcall_runtime::Error),
    /// A part of the process failed, or could not be set up.
    #[error(transparent)]
    Runtime(#[from] rollcall_runtime::Error),
    /// A service cannot be set up.
    #[error("{service} cannot start, see {flag} for where it listens")]
    Bind {
        /// The service.
        service: &'static str,
        /// The flag that sets its address.
        flag: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A service did not begin to serve.
    #[error("{service} does not serve after {limit:?}, the log says more")]
    NotServing {
        /// The service.
        service: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The addresses cannot be written.
    #[error("addresses cannot be written to {}, expected a path in a folder that can be written to", path.display())]
    AddressesFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// Standard output cannot be written to.
    #[error("standard output cannot be written to")]
    Output(#[source] std::io::Error),
    /// The demo's app cannot be created.
    #[error("the demo's app cannot be created: {0}")]
    DemoApp(String),
    /// The demo's tokens cannot be made.
    #[error("the demo's tokens cannot be made")]
    DemoToken(#[source] jsonwebtoken::errors::Error),
}

impl Error {
    /// Returns the exit code of the process: 2 for what the caller has to put right in its configuration, as clap
    /// does for flags, 1 else.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Config(_)) { 2 } else { 1 }
    }
}
