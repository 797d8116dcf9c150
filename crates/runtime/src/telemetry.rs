//! Logs: structured, to standard error, so that standard output stays the program's own. Traces: to a collector, if
//! the environment names one. Start with [`init`].

mod export;

use std::io::IsTerminal as _;

use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry as Spans,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use self::export::Export;
use crate::{config::Validate, error::Error, metrics::Registry, trace::TARGET};

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

/// What [`init`] has begun.
#[derive(Debug)]
#[must_use = "the last spans are sent by `close`"]
pub struct Telemetry(Option<Export>);

impl Telemetry {
    /// Sends the last spans, for 3 s at most.
    pub async fn close(self) {
        if let Some(export) = self.0 {
            // It panics as little as it fails: then there is nobody left to tell.
            let _ = tokio::task::spawn_blocking(move || export.close()).await;
        }
    }
}

/// Begins to log, and to trace if the environment names a collector. Once in a process, which is called `process`
/// in its traces.
pub fn init(config: &Config, process: &'static str, metrics: &Registry) -> Result<Telemetry, Error> {
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match config.format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    // Spans of traces are no business of the log; without a collector nobody wants them, and none is made.
    let to_log = filter(&config.filter)?.and(filter_fn(|of| of.target() != TARGET));
    let export = Export::open(process, metrics)?;
    let spans = export.as_ref().map(|export| {
        tracing_opentelemetry::layer()
            .with_tracer(export.tracer())
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            .with_context_activation(false)
            .with_target(false)
            .with_filter(filter_fn(|of| of.target() == TARGET))
            .boxed()
    });
    let layers: Vec<_> = [lines.with_filter(to_log).boxed()].into_iter().chain(spans).collect();
    Spans::default().with(layers).try_init().map_err(|error| Error::Subscriber(Box::new(error)))?;
    Ok(Telemetry(export))
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
