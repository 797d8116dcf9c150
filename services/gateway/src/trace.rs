//! Spans of the gateway: of a client's call, and of a change on its way to a frame.

use rollcall_domain::code::{Code, Refusal};
use rollcall_proto::trace::TraceParent;
use rollcall_runtime::trace::{TARGET, child, edge, follow};
use tracing::{Span, field::Empty, info_span};

use crate::metrics::Method;

/// The trace of one call of a client. Its span ends with it.
#[derive(Debug)]
pub(crate) struct CallTrace {
    span: Span,
    passed: TraceParent,
}

impl CallTrace {
    /// Begins the span of a call, below the one that the client named. A ping has none: heartbeats are counted.
    pub(crate) fn begin(method: Method, came: &TraceParent) -> Self {
        if method == Method::Ping {
            return Self { span: Span::none(), passed: TraceParent::default() };
        }
        let (span, passed) = edge(came, || {
            info_span!(
                target: TARGET,
                "gateway.call",
                otel.name = method.name(),
                otel.kind = "server",
                otel.status_code = Empty,
                rpc.system.name = "rollcall",
                rpc.service = "rollcall.client.v1",
                rpc.method = method.name(),
                rpc.response.status_code = Empty,
            )
        });
        Self { span, passed }
    }

    /// Returns what is passed on to other services.
    pub(crate) fn passed(&self) -> &TraceParent {
        &self.passed
    }

    /// Returns the span, to do the work in it.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Notes how the call ended.
    pub(crate) fn ended<T>(&self, result: &Result<T, Refusal>) {
        if self.span.is_disabled() {
            return;
        }
        let code = result.as_ref().err().map_or(Code::Ok, |refusal| refusal.code);
        self.span.record("rpc.response.status_code", code.number());
        if matches!(code, Code::Timeout | Code::ServerTimeout | Code::Internal) {
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

/// Makes the span of a change that a notifier told of, until the first frame with it is written.
pub(crate) fn push_of_change(traceparent: &str) -> Span {
    if traceparent.is_empty() {
        return Span::none();
    }
    follow(&TraceParent::parse(traceparent), push)
}

/// Makes the span of a change that a call here made, until the first frame with it is written.
pub(crate) fn push_of_call() -> Span {
    child(push)
}

fn push() -> Span {
    info_span!(target: TARGET, "gateway.push", otel.kind = "producer", rollcall.sessions = Empty)
}
