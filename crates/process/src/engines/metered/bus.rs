//! The bus with its calls counted and measured, and what is published traced.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use rollcall_bus::{Bus, Error, Message, Replay, Requests, Start, Subject, Subscription};
use rollcall_runtime::{
    clock::Stopwatch,
    metrics::{Histogram, LATENCY, Registry, Table},
    trace,
};
use tracing::{Instrument as _, info_span};

/// A bus that counts and measures its calls.
pub(in crate::engines) struct MeteredBus {
    inner: Arc<dyn Bus>,
    latency: [Histogram; OPERATIONS.len()],
    calls: Table,
    /// What is behind the port, as in the URL that chose it.
    kind: &'static str,
}

/// The operations, in the order of [`Operation`].
const OPERATIONS: [&str; 5] = ["publish", "request", "subscribe", "replay", "serve"];

#[derive(Clone, Copy)]
enum Operation {
    Publish,
    Request,
    Subscribe,
    Replay,
    Serve,
}

/// What a call comes to, in the order of [`result`].
const RESULTS: [&str; 4] = ["ok", "nobody_serves", "timeout", "unavailable"];

fn result<T>(result: &Result<T, Error>) -> usize {
    match result {
        Ok(_) => 0,
        Err(Error::NobodyServes(_)) => 1,
        Err(Error::Timeout { .. }) => 2,
        Err(Error::Unavailable(_)) => 3,
    }
}

impl MeteredBus {
    /// Counts and measures the calls of a bus.
    pub(in crate::engines) fn new(inner: Arc<dyn Bus>, kind: &'static str, metrics: &Registry) -> Self {
        Self {
            inner,
            kind,
            latency: metrics.histograms(
                "rollcall_bus_operation_seconds",
                "Time that calls to the bus took, failed ones included; of a request until its answer.",
                LATENCY,
                "operation",
                OPERATIONS,
            ),
            calls: metrics.table(
                "rollcall_bus_calls",
                "Calls to the bus by what they came to.",
                ("operation", &OPERATIONS),
                ("result", &RESULTS),
            ),
        }
    }

    async fn measure<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let watch = Stopwatch::start();
        let ended = call.await;
        self.latency[operation as usize].observe_duration(watch.elapsed());
        self.calls.at(operation as usize, result(&ended)).inc();
        ended
    }
}

#[async_trait]
impl Bus for MeteredBus {
    async fn publish(&self, mut message: Message) -> Result<(), Error> {
        let span = trace::follow(&message.trace, || {
            info_span!(
                target: trace::TARGET,
                "bus.publish",
                otel.name = "send rollcall.status",
                otel.kind = "producer",
                messaging.operation.type = "send",
                messaging.destination.template = "rollcall.status.{partition}",
                messaging.system = self.kind,
            )
        });
        if !span.is_disabled() {
            message.trace = trace::passed_on(&span, &message.trace);
        }
        self.measure(Operation::Publish, self.inner.publish(message)).instrument(span).await
    }

    async fn subscribe_status(&self) -> Result<Subscription, Error> {
        self.measure(Operation::Subscribe, self.inner.subscribe_status()).await
    }

    async fn replay(&self, start: Start) -> Result<Replay, Error> {
        self.measure(Operation::Replay, self.inner.replay(start)).await
    }

    async fn request(&self, message: Message, timeout: Duration) -> Result<Bytes, Error> {
        self.measure(Operation::Request, self.inner.request(message, timeout)).await
    }

    async fn serve(&self, subject: Subject) -> Result<Requests, Error> {
        self.measure(Operation::Serve, self.inner.serve(subject)).await
    }
}
