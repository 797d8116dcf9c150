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

/// Fails if watchers were not shown last states.
pub(crate) fn verdict(missing: usize, examples: &str) -> anyhow::Result<()> {
    anyhow::ensure!(missing == 0, "{missing} last states did not arrive, such as: {examples}");
    Ok(())
}
