//! The subjects of the bus. They carry a partition number and never an id.

use std::fmt;

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Outbox entries of one partition, to every subscriber.
    Status(u16),
    /// Reports of gateways, each to one of those who serve them.
    Heartbeat,
}

/// The subscription to every [`Subject::Status`].
pub const ALL_STATUS: &str = "rollcall.status.*";

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(partition) => write!(f, "rollcall.status.{partition}"),
            Self::Heartbeat => f.write_str("rollcall.heartbeat"),
        }
    }
}
