//! What the bytes of stored records say.
//!
//! Records are protobuf messages, private to this crate: fields are added, never renumbered. What is read is
//! checked like anything from outside, so a record that does not decode is an error and never a panic.

pub(crate) mod app;
pub(crate) mod audit;
pub(crate) mod list;
pub(crate) mod user;

use std::fmt::Display;

#[cfg(test)]
mod tests;

/// Says why a stored record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no message.
    #[error("stored bytes are no message of their kind")]
    Message(#[from] prost::DecodeError),
    /// A field holds a value that no release has written.
    #[error("stored {field} is not allowed: {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
}

impl Error {
    fn field(field: &'static str, problem: &impl Display) -> Self {
        Self::Field { field, problem: problem.to_string() }
    }
}
