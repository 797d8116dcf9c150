//! Why no store could be opened.

use std::time::Duration;

/// Says why a store on Redis could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be read.
    #[error("store URL is not valid, expected redis://[user:password@]host[:port]")]
    Url(#[source] redis::RedisError),
    /// The server cannot be reached, refuses the user, or does not know a command that is needed.
    #[error("cannot connect to the store: {0}")]
    Refused(#[from] redis::RedisError),
    /// The server did not answer.
    #[error("cannot connect to the store: no answer within {0:?}")]
    Silent(Duration),
    /// The server is a replica, which cannot commit.
    #[error("cannot connect to the store: the server is a {0}, expected a master")]
    NotMaster(String),
    /// The server does not tell who it is.
    #[error("cannot connect to the store: {0}")]
    Unnamed(String),
    /// The store was first used with another number of partitions.
    #[error(
        "store has {stored} partitions, but {configured} are configured; the number is fixed when a store is \
         first used, as it decides where each record lies"
    )]
    Partitions {
        /// The number that the store was first used with.
        stored: u16,
        /// The number that is asked for.
        configured: u16,
    },
}
