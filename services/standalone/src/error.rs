//! Why the process cannot start, or stopped.

use std::time::Duration;

/// Says why the process cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What every process does failed.
    #[error(transparent)]
    Process(#[from] rollcall_process::Error),
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
    /// The demo's app cannot be created.
    #[error("the demo's app cannot be created: {0}")]
    DemoApp(String),
    /// The demo's tokens cannot be made.
    #[error("the demo's tokens cannot be made")]
    DemoToken(#[source] jsonwebtoken::errors::Error),
}

impl Error {
    /// Returns the exit code of the process, as of [`rollcall_process::Error::exit_code`].
    pub fn exit_code(&self) -> u8 {
        if let Self::Process(error) = self { error.exit_code() } else { 1 }
    }
}
