//! What a collector gets: one trace from a client's call to the frame that its watcher is written (DESIGN
//! section 7).

use std::{collections::BTreeMap, sync::Arc};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span,
};
use parking_lot::Mutex;
use rollcall_conformance::{alice_watching_bob, online, says};
use rollcall_harness::{Builder, Deployment, Rollcall, eventually};
use rollcall_proto::{
    common::v1::{Platform, SessionId},
    presence::v1::LoginRequest,
    trace::TraceParent,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: &str = "00f067aa0ba902b7";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Begins with all in one process: each sends to a collector by itself.
fn embedded() -> Builder {
    Rollcall::builder().deployment(Deployment::Embedded)
}

/// A collector that keeps all spans, each with the service that it came from.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_process in request.into_inner().resource_spans {
            let attributes = of_process.resource.unwrap_or_default().attributes;
            let service = attributes.into_iter().find(|attribute| attribute.key == "service.name");
            let service = match service.and_then(|attribute| attribute.value?.value) {
                Some(Value::StringValue(service)) => service,
                other => panic!("the service has no name: {other:?}"),
            };
            let spans = of_process.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            self.0.lock().extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one, and prepares a `rollcall` that sends to it.
    async fn start() -> (Self, Builder) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let builder = embedded().env(ENDPOINT, &endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "100");
        (collector, builder)
    }

    /// Waits until the trace has spans of all these names, and returns its spans.
    async fn trace(&self, names: &[&str]) -> Trace {
        let mut trace = Trace(Vec::new());
        eventually(&format!("spans {names:?}"), async || {
            let spans = self.0.lock();
            let spans = spans.iter().filter(|(_, span)| hex(&span.trace_id) == TRACE);
            trace = Trace(spans.map(|(_, span)| span.clone()).collect());
            names.iter().all(|name| trace.0.iter().any(|span| span.name == *name))
        })
        .await;
        trace
    }
}

struct Trace(Vec<Span>);

impl Trace {
    /// Returns the names of a span and of those above it, up to the client's.
    fn path(&self, name: &str) -> Vec<&str> {
        let by_id: BTreeMap<_, _> = self.0.iter().map(|span| (&span.span_id, span)).collect();
        let mut span = self.0.iter().find(|span| span.name == name).unwrap();
        let mut path = vec![span.name.as_str()];
        while hex(&span.parent_span_id) != CLIENT_SPAN {
            span = by_id.get(&span.parent_span_id).unwrap_or_else(|| panic!("{path:?} hangs in the air"));
            path.push(&span.name);
        }
        path
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CLIENT_SPAN}-{flags}")
}

#[tokio::test]
async fn one_trace_leads_from_a_clients_call_to_its_watchers_frame() {
    let (collector, rollcall) = Collector::start().await;
    let rollcall = rollcall.start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;

    bob.call(json!({"setSelfStatus": {"custom": "traced"}, "traceparent": traceparent("01")})).await.ok();
    alice.expect("bob", says("traced")).await;

    let rpc = "rollcall.presence.v1.PresenceService/SetSelfStatus";
    let names =
        ["set_self_status", rpc, "store.commit", "send rollcall.status", "notifier.route", "gateway.push"];
    let trace = collector.trace(&names).await;
    let call = [rpc, rpc, "set_self_status"];
    assert_eq!(trace.path("store.commit"), [&["store.commit"], &call[..]].concat());
    let published = ["notifier.route", "send rollcall.status"];
    assert_eq!(trace.path("notifier.route"), [&published, &call[..]].concat());
    // The gateway that made the call knows from the reply; others hear of it by the notifier.
    assert_eq!(trace.path("gateway.push").last(), Some(&"set_self_status"));
    assert!(collector.0.lock().iter().all(|(service, _)| service == "rollcall"));
}

#[tokio::test]
async fn a_change_that_another_made_is_traced_through_the_notifier() {
    let (collector, rollcall) = Collector::start().await;
    let rollcall = rollcall.start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    // What was read after the subscribe is shown: what comes now comes from the notifier.
    alice.expect("bob", |status| !online(status)).await;

    // As another gateway would.
    let login = LoginRequest {
        app_id: app.id,
        user_id: "bob".to_owned(),
        token: app.token("bob"),
        platform: Platform::Linux.into(),
        device_id: "d".to_owned(),
        session: Some(SessionId { boot: 7, counter: 1 }),
        ..LoginRequest::default()
    };
    let request = TraceParent::parse(&traceparent("01")).request(login);
    rollcall.presence().login(request).await.unwrap();
    alice.expect("bob", online).await;

    let rpc = "rollcall.presence.v1.PresenceService/Login";
    let trace = collector.trace(&["gateway.push", "notifier.route", "send rollcall.status", rpc]).await;
    assert_eq!(trace.path("gateway.push"), ["gateway.push", "notifier.route", "send rollcall.status", rpc]);
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_and_a_heartbeat_make_no_spans() {
    let (collector, rollcall) = Collector::start().await;
    let rollcall = rollcall.env("OTEL_TRACES_SAMPLER", "parentbased_always_off").start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    bob.call(json!({"ping": {}, "traceparent": traceparent("01")})).await.ok();
    bob.call(json!({"setSelfStatus": {"custom": "dark"}, "traceparent": traceparent("00")})).await.ok();
    alice.expect("bob", says("dark")).await;
    // What comes after is the proof that spans would have come.
    bob.call(json!({"setSelfStatus": {"custom": "seen"}, "traceparent": traceparent("01")})).await.ok();
    alice.expect("bob", says("seen")).await;

    let trace = collector.trace(&["set_self_status", "gateway.push", "notifier.route"]).await;

    assert_eq!(trace.0.iter().filter(|span| span.name == "set_self_status").count(), 1);
    let foreign = collector.0.lock().iter().filter(|(_, span)| hex(&span.trace_id) != TRACE).count();
    assert_eq!(foreign, 0, "nothing else was sampled");
    assert!(trace.0.iter().all(|span| span.name != "ping"));
}

#[tokio::test]
async fn a_collector_that_is_dead_costs_a_counter() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let rollcall = embedded().env(ENDPOINT, &nobody).env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let rollcall = rollcall.start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    bob.set("served").await.ok();
    alice.expect("bob", says("served")).await;

    eventually("spans to be given up", async || {
        let metrics = rollcall.metrics().await;
        metrics.of("rollcall_trace_spans_exported_total{result=\"failed\"}") > 0
            && metrics.of("rollcall_trace_spans_ended_total") > 0
    })
    .await;
}
