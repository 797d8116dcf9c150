//! Messages of the port as messages of NATS: the trace context is a header.

use async_nats::HeaderMap;
use rollcall_proto::trace::{TRACEPARENT, TraceParent};

use crate::{port::Message, subject::Subject};

/// Returns the headers of a message.
pub(super) fn headers(message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !message.trace.as_str().is_empty() {
        headers.insert(TRACEPARENT, message.trace.as_str());
    }
    headers
}

/// Reads a message; `None` if its subject is not one of ours.
pub(super) fn read(message: &async_nats::Message) -> Option<Message> {
    let trace = message.headers.as_ref().and_then(|headers| headers.get(TRACEPARENT));
    Some(Message {
        subject: Subject::parse(&message.subject)?,
        trace: trace.map(|trace| TraceParent::parse(trace.as_str())).unwrap_or_default(),
        payload: message.payload.clone(),
    })
}
