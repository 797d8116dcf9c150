//! Spans of gRPC calls, on both sides; only of calls whose trace is sampled.

use std::task::{Context, Poll};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue},
    middleware::Next,
    response::Response,
};
use rollcall_proto::trace::{TRACEPARENT, TraceParent};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{Service, http},
    service::Routes,
    transport::Channel,
};
use tracing::{Instrument as _, Span, field::Empty, info_span, instrument::Instrumented};

use crate::trace::{TARGET, child, follow, passed_on};

/// A channel whose calls are spans below the current one.
#[derive(Debug, Clone)]
pub struct Traced(Channel);

impl Traced {
    /// Makes spans of the calls of a channel.
    pub fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<http::Request<Body>> for Traced {
    type Response = <Channel as Service<http::Request<Body>>>::Response;
    type Error = <Channel as Service<http::Request<Body>>>::Error;
    type Future = Instrumented<<Channel as Service<http::Request<Body>>>::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<http::Request<Body>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let span = child(|| {
            let (name, service, method) = names(request.uri().path());
            info_span!(
                target: TARGET,
                "grpc.client",
                otel.name = name,
                otel.kind = "client",
                rpc.system.name = "grpc",
                rpc.service = service,
                rpc.method = method,
            )
        });
        pass(&span, request.headers_mut());
        self.0.call(request).instrument(span)
    }
}

/// Makes spans of the calls that come.
pub(super) fn layer(routes: Routes) -> Routes {
    routes.into_axum_router().layer(axum::middleware::from_fn(served)).into()
}

async fn served(mut request: Request, next: Next) -> Response {
    let parent = parent_of(request.headers());
    let span = follow(&parent, || {
        let (name, service, method) = names(request.uri().path());
        info_span!(
            target: TARGET,
            "grpc.server",
            otel.name = name,
            otel.kind = "server",
            otel.status_code = Empty,
            rpc.system.name = "grpc",
            rpc.service = service,
            rpc.method = method,
            rpc.response.status_code = Empty,
        )
    });
    pass(&span, request.headers_mut());
    let response = next.run(request).instrument(span.clone()).await;
    if !span.is_disabled() {
        // A call that fails says so before it says anything else.
        let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
        span.record("rpc.response.status_code", code as i32);
        if matches!(code, Code::Internal | Code::Unknown | Code::Unavailable | Code::DataLoss) {
            span.record("otel.status_code", "ERROR");
        }
    }
    response
}

fn parent_of(headers: &HeaderMap) -> TraceParent {
    let text = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    text.map(TraceParent::parse).unwrap_or_default()
}

/// Lets what comes after be below the span.
fn pass(span: &Span, headers: &mut HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let passed = passed_on(span, &TraceParent::default());
    if let Ok(value) = HeaderValue::from_str(passed.as_str()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// Splits the path of a call into its name, its service, and its method.
fn names(path: &str) -> (&str, &str, &str) {
    let name = path.trim_start_matches('/');
    let (service, method) = name.split_once('/').unwrap_or((name, ""));
    (name, service, method)
}
