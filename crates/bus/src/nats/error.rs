//! Why no bus could be opened.

use std::{io, path::PathBuf, time::Duration};

use super::stream::StreamError;

/// Says why a bus on NATS could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be read. It may hold a password, so it is not told.
    #[error(
        "bus URL is not valid, expected nats://[user:password@]host[:port], or several with commas between"
    )]
    Url,
    /// The password cannot be read.
    #[error("cannot read the bus password from {path}")]
    Password {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server cannot be reached, is not trusted, or refuses the user.
    #[error("cannot connect to the bus: {0}")]
    Refused(#[from] async_nats::ConnectError),
    /// The server did not answer.
    #[error("cannot connect to the bus: no answer within {0:?}")]
    Silent(Duration),
    /// The connection was lost while it was made, or the user may not read the inbox that is configured.
    #[error("cannot connect to the bus: {0}")]
    Unusable(String),
    /// The server is too old.
    #[error("bus server has version {0}, expected {major}.{minor} or later", major = OLDEST.0, minor = OLDEST.1)]
    TooOld(String),
    /// The stream that captures changes is not as it must be.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// The oldest version of a server that is accepted, major and minor: older ones do not keep the settings of a stream that they do
/// not know, and are maintained no more.
pub(super) const OLDEST: (i64, i64) = (2, 10);
