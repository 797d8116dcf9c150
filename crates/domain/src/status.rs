//! What is known and said of a user: the general and the custom status, and their versions.

use std::time::Duration;

/// The least and the greatest time after which a custom status may clear by itself (SPEC B6).
pub const CLEAR_AFTER_MIN: Duration = Duration::from_secs(1);
/// See [`CLEAR_AFTER_MIN`].
pub const CLEAR_AFTER_MAX: Duration = Duration::from_hours(30 * 24);

/// The greatest length of a custom status, in bytes (SPEC B1).
pub const CUSTOM_STATUS_MAX_BYTES: usize = 100;

/// Says whether a user can be reached (SPEC A1). Numbers are those of the wire and of stored records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum General {
    /// At least one session has a live connection (SPEC A2).
    Online = 1,
    /// No live connection, and a mark is left (SPEC A3).
    Offline = 2,
    /// Never logged in, or no mark is left (SPEC A4).
    Unlogined = 3,
}

/// Says what is wrong with a custom status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is too long.
    #[error("custom status is {0} bytes, at most {CUSTOM_STATUS_MAX_BYTES} are allowed")]
    TooLong(usize),
    /// The text holds a NUL.
    #[error("custom status has a NUL at offset {0}, none is allowed")]
    Nul(usize),
}

/// What a user says they are doing: 0 to 100 bytes of UTF-8 without NUL, kept byte for byte; empty means none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CustomStatus(Box<str>);

impl CustomStatus {
    /// Checks length and content (SPEC B1).
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.len() > CUSTOM_STATUS_MAX_BYTES {
            return Err(Error::TooLong(text.len()));
        }
        if let Some(offset) = text.bytes().position(|byte| byte == 0) {
            return Err(Error::Nul(offset));
        }
        Ok(Self(text.into()))
    }

    /// Returns the text; empty means none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The version of a user's status: strictly increases with every change; 0 means never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StatusVersion(pub u64);

/// The version of a record: strictly increases with every commit; 0 means never written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RecordVersion(pub u64);

/// A user's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whether the user can be reached.
    pub general: General,
    /// What they say they are doing.
    pub custom: CustomStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    // SPEC B1
    #[test]
    fn a_custom_status_has_at_most_100_bytes_counted_as_utf8() {
        CustomStatus::new(&"x".repeat(100)).unwrap();
        assert_eq!(CustomStatus::new(&"x".repeat(101)), Err(Error::TooLong(101)));
        CustomStatus::new(&"한".repeat(33)).unwrap();
        assert_eq!(CustomStatus::new(&"한".repeat(34)), Err(Error::TooLong(102)));
    }

    // SPEC B1
    #[test]
    fn a_nul_is_refused_and_all_else_is_kept_byte_for_byte() {
        assert_eq!(CustomStatus::new("a\0b"), Err(Error::Nul(1)));
        let text = "\u{1b}[31m\r\n\u{200b}é\u{301}";
        assert_eq!(CustomStatus::new(text).unwrap().as_str(), text);
    }
}
