//! Logs: structured, to standard error, so that standard output stays the program's own.

use std::io::IsTerminal as _;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::{config::Validate, error::Error};

/// How a process logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How a line is written; `text` by default.
    pub format: Format,
    /// What is written, as `info` or `info,rollcall_gateway=debug`; `info,async_nats=warn` by default.
    pub filter: String,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Text, filter: "info,async_nats=warn".to_owned() }
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        filter(&self.filter).err().map(|error| format!("filter: {error}")).into_iter().collect()
    }
}

/// Begins to log. Once in a process.
pub fn init(config: &Config) -> Result<(), Error> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(Error::Subscriber)
}

fn filter(text: &str) -> Result<EnvFilter, Error> {
    EnvFilter::builder().parse(text).map_err(|source| Error::Filter { filter: text.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_a_fault() {
        assert_eq!(Config::default().faults(), [""; 0]);
        let faults = Config { filter: "info,=,".to_owned(), ..Config::default() }.faults();
        assert!(faults[0].starts_with("filter: log filter \"info,=,\" is refused, expected"), "{faults:?}");
    }
}
