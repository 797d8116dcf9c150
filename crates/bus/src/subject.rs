//! The subjects of the bus. They carry a partition number and never an id.

use std::fmt;

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Outbox entries of one partition, to every subscriber.
    Status(u16),
    /// Reports of gateways, each to one of those who serve them.
    Heartbeat,
}

/// The subscription to every [`Subject::Status`].
pub const ALL_STATUS: &str = "rollcall.status.*";

const STATUS: &str = "rollcall.status.";
const HEARTBEAT: &str = "rollcall.heartbeat";

impl Subject {
    /// Reads a subject as it is written. `None` if it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if text == HEARTBEAT {
            return Some(Self::Heartbeat);
        }
        let subject = Self::Status(text.strip_prefix(STATUS)?.parse().ok()?);
        // One text for each subject: `+1` and `01` are numbers too.
        (subject.to_string() == text).then_some(subject)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(partition) => write!(f, "{STATUS}{partition}"),
            Self::Heartbeat => f.write_str(HEARTBEAT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        for subject in [Subject::Status(0), Subject::Status(1), Subject::Status(u16::MAX), Subject::Heartbeat]
        {
            assert_eq!(Subject::parse(&subject.to_string()), Some(subject));
        }
    }

    #[test]
    fn what_is_no_subject_is_not_read() {
        for text in
            ["", "rollcall", "rollcall.status", "rollcall.status.", "rollcall.status.*", "rollcall.head"]
        {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
        for partition in ["-1", "+1", "01", "65536", "1.2", "a"] {
            assert_eq!(Subject::parse(&format!("rollcall.status.{partition}")), None, "{partition}");
        }
    }
}
