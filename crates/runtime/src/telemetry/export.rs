//! Sends spans to a collector over OTLP, as the standard `OTEL_*` variables say.
//!
//! What the collector does not take is counted and gone: the queue is bounded (`OTEL_BSP_MAX_QUEUE_SIZE`), and
//! nobody waits for it.

use std::time::Duration;

use opentelemetry::{Context, KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor},
};

use crate::{
    config::foreign_variable,
    error::Error,
    metrics::{Counter, Registry},
};

/// How long the last spans may take at the end of the process.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// The way to the collector.
#[derive(Debug)]
pub(super) struct Export {
    provider: SdkTracerProvider,
}

impl Export {
    /// Opens the way if the environment names an endpoint. `process` is the name of the service unless the
    /// environment gives another. Must be called within the runtime.
    pub(super) fn open(process: &'static str, metrics: &Registry) -> Result<Option<Self>, Error> {
        if !is_wanted() {
            return Ok(None);
        }
        if let Some(protocol) = named(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
            && protocol != "grpc"
        {
            return Err(Error::Traces(format!("protocol {protocol:?} is not spoken, expected grpc").into()));
        }
        let exporter = OtlpExporter::builder().with_tonic().build();
        let exporter = Counted::new(exporter.map_err(|error| Error::Traces(Box::new(error)))?, metrics);
        let ended = metrics.counter("rollcall_trace_spans_ended", "Spans that ended and are to be exported.");
        let batches = Ended { ended, inner: BatchSpanProcessor::builder(exporter).build() };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(process))
            .with_span_processor(batches)
            .build();
        Ok(Some(Self { provider }))
    }

    /// Makes what begins spans.
    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("rollcall")
    }

    /// Sends what waits, for 3 s at most. Blocks.
    pub(super) fn close(&self) {
        // What could not be sent is counted.
        let _ = self.provider.shutdown_with_timeout(FLUSH_LIMIT);
    }
}

fn is_wanted() -> bool {
    let is =
        |name, value: &str| foreign_variable(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    named(["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]).is_some()
        && !is("OTEL_SDK_DISABLED", "true")
        && !is("OTEL_TRACES_EXPORTER", "none")
}

/// Returns the first variable that is set.
fn named<const N: usize>(names: [&str; N]) -> Option<String> {
    names.into_iter().find_map(foreign_variable)
}

/// Describes this process; what the environment says of it counts.
fn resource(process: &'static str) -> Resource {
    let mut resource = Resource::builder();
    let given =
        foreign_variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| text.contains("service.name="));
    if foreign_variable("OTEL_SERVICE_NAME").is_none() && !given {
        resource = resource.with_service_name(process);
    }
    resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}

/// Counts the spans that ended, and queues them.
#[derive(Debug)]
struct Ended {
    ended: Counter,
    inner: BatchSpanProcessor,
}

impl SpanProcessor for Ended {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.ended.inc();
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts the spans that a collector took, and those it did not.
#[derive(Debug)]
struct Counted {
    inner: OtlpExporter,
    sent: [Counter; 2],
}

impl Counted {
    fn new(inner: OtlpExporter, metrics: &Registry) -> Self {
        let help =
            "Spans sent to the collector; of those that ended, the others wait or found the queue full.";
        let sent = metrics.counters("rollcall_trace_spans_exported", help, "result", ["ok", "failed"]);
        Self { inner, sent }
    }
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.inner.export(batch).await;
        self.sent[usize::from(result.is_err())].inc_by(spans);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
