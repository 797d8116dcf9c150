//! Spans of traces: from a client's call to the frame that its watcher is written (DESIGN section 7).
//!
//! A trace begins where a client calls, or came with a call from outside; whether it is sampled is decided
//! there, and everything after follows: a span is made only below one that is sampled, so that a call that is
//! not, and a process without a collector, pay for next to nothing. What passes from process to process is the
//! `traceparent`. Start with [`edge`], [`follow`] and [`child`].

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use rollcall_proto::trace::TraceParent;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of all spans: they go to a collector, and never to the log.
pub const TARGET: &str = "rollcall::trace";

/// Makes a span where a trace may begin, below `parent` if there is one. Returns it, or none if it is not sampled,
/// and what is to be passed on.
pub fn edge(parent: &TraceParent, make: impl FnOnce() -> Span) -> (Span, TraceParent) {
    let span = make();
    if span.is_disabled() {
        return (span, parent.clone());
    }
    adopt(&span, parent);
    let passed = passed_on(&span, parent);
    if passed.is_sampled() { (span, passed) } else { (Span::none(), passed) }
}

/// Makes a span below one of another process, if that is sampled.
pub fn follow(parent: &TraceParent, make: impl FnOnce() -> Span) -> Span {
    if !parent.is_sampled() {
        return Span::none();
    }
    let span = make();
    adopt(&span, parent);
    span
}

/// Makes a span below the current one, if there is one.
pub fn child(make: impl FnOnce() -> Span) -> Span {
    if Span::current().is_none() { Span::none() } else { make() }
}

/// Returns what a span passes on; of none, what came.
pub fn passed_on(span: &Span, came: &TraceParent) -> TraceParent {
    if span.is_disabled() {
        return came.clone();
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    if !context.is_valid() {
        return came.clone();
    }
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
    TraceParent::parse(&format!("00-{trace}-{span}-{flags:02x}"))
}

/// Says whether spans are made at all. Holds for the whole process once telemetry was set up.
pub fn is_on() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::INFO)
}

fn adopt(span: &Span, parent: &TraceParent) {
    // Without a collector there is nothing to tell it to.
    let _ = span.set_parent(remote(parent));
}

fn remote(parent: &TraceParent) -> Context {
    let mut parts = parent.as_str().split('-').skip(1);
    let mut part = || parts.next().unwrap_or_default();
    let (trace, span) = (TraceId::from_hex(part()), SpanId::from_hex(part()));
    let (Ok(trace), Ok(span)) = (trace, span) else { return Context::new() };
    let flags = if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, TraceState::default()))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
    use tracing::{info_span, subscriber::DefaultGuard};
    use tracing_subscriber::{Layer as _, filter::filter_fn, layer::SubscriberExt as _};

    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn collect(sampler: Sampler) -> (DefaultGuard, InMemorySpanExporter, SdkTracerProvider) {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        (tracing::subscriber::set_default(subscriber), exporter, provider)
    }

    fn span() -> Span {
        info_span!(target: TARGET, "test")
    }

    #[test]
    fn a_trace_passes_through_edge_child_and_another_process() {
        let (_guard, exporter, _provider) = collect(Sampler::AlwaysOff);
        let (call, passed) = edge(&TraceParent::parse(SAMPLED), span);
        assert_ne!(passed.as_str(), SAMPLED);
        let below = call.in_scope(|| child(span));
        let elsewhere = follow(&passed, span);
        drop((call, below, elsewhere));

        let spans = exporter.get_finished_spans().unwrap();

        assert_eq!(spans.len(), 3);
        let call = spans.iter().find(|span| span.parent_span_id.to_string() == "00f067aa0ba902b7").unwrap();
        for span in &spans {
            assert_eq!(span.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert!(std::ptr::eq(span, call) || span.parent_span_id == call.span_context.span_id());
        }
    }

    #[test]
    fn what_is_not_sampled_makes_no_spans_and_is_passed_on_as_such() {
        let (_guard, exporter, _provider) = collect(Sampler::AlwaysOff);
        for parent in [UNSAMPLED, ""] {
            let (call, passed) = edge(&TraceParent::parse(parent), span);
            assert!(call.is_none() && !passed.is_sampled() && passed != TraceParent::default(), "{passed:?}");
            assert!(call.in_scope(|| child(span)).is_none());
            assert!(follow(&passed, span).is_none());
        }
        assert_eq!(exporter.get_finished_spans().unwrap().len(), 0);
    }

    #[test]
    fn without_a_collector_a_trace_is_passed_on_as_it_came() {
        // As in a process that only logs.
        let log = tracing_subscriber::fmt::layer().with_filter(filter_fn(|of| of.target() != TARGET));
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(log));
        let parent = TraceParent::parse(SAMPLED);
        let (call, passed) = edge(&parent, span);
        assert!(call.is_none());
        assert_eq!(passed, parent);
        assert_eq!(passed_on(&follow(&parent, span), &parent), parent);
    }
}
