//! How a result is shown.

use clap::ValueEnum;

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables for people.
    Table,
    /// One JSON object; durations in microseconds, memory in bytes.
    Json,
}
