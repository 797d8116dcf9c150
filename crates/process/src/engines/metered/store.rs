//! The store with its calls counted and measured, and its commits traced.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rollcall_domain::{epoch::Epoch, id::BootId, status::RecordVersion, time::Timestamp};
use rollcall_runtime::{
    clock::Stopwatch,
    metrics::{Counter, Histogram, LATENCY, Registry},
    trace,
};
use rollcall_store::{
    Commit, Error, Key, Outcome, Partition, Partitions, Record, Store,
    port::{
        Admission, Entry, Heads, Lease, Nonce, Opening, Renewal, Timer, TimerId, TimerSet, TokenHash, Window,
    },
};
use tracing::{Instrument as _, field::Empty, info_span};

/// A store that counts and measures its calls.
pub(in crate::engines) struct MeteredStore {
    inner: Arc<dyn Store>,
    latency: [Histogram; OPERATIONS.len()],
    errors: [Counter; OPERATIONS.len()],
    outcomes: [Counter; OUTCOMES.len()],
    /// What is behind the port, as in the URL that chose it.
    kind: &'static str,
}

/// The operations, in the order of [`Operation`].
const OPERATIONS: [&str; 16] = [
    "now",
    "get",
    "versions",
    "commit",
    "touch",
    "due",
    "unpublished",
    "published",
    "heads",
    "open_lease",
    "renew_lease",
    "retire_lease",
    "leases",
    "kill_lease",
    "forget_lease",
    "window",
];

#[derive(Clone, Copy)]
enum Operation {
    Now,
    Get,
    Versions,
    Commit,
    Touch,
    Due,
    Unpublished,
    Published,
    Heads,
    OpenLease,
    RenewLease,
    RetireLease,
    Leases,
    KillLease,
    ForgetLease,
    Window,
}

/// What a commit comes to, in the order of [`outcome`].
const OUTCOMES: [&str; 4] = ["committed", "conflict", "guarded", "late"];

fn outcome(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Committed(_) => 0,
        Outcome::Conflict => 1,
        Outcome::Guarded => 2,
        Outcome::Late => 3,
    }
}

impl MeteredStore {
    /// Counts and measures the calls of a store.
    pub(in crate::engines) fn new(inner: Arc<dyn Store>, kind: &'static str, metrics: &Registry) -> Self {
        Self {
            inner,
            kind,
            latency: metrics.histograms(
                "rollcall_store_operation_seconds",
                "Time that calls to the store took, failed ones included.",
                LATENCY,
                "operation",
                OPERATIONS,
            ),
            errors: metrics.counters(
                "rollcall_store_errors",
                "Calls to the store that failed.",
                "operation",
                OPERATIONS,
            ),
            outcomes: metrics.counters(
                "rollcall_store_commits",
                "Commits by what they came to; one that is in conflict, guarded or late changes nothing.",
                "outcome",
                OUTCOMES,
            ),
        }
    }

    async fn measure<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let watch = Stopwatch::start();
        let result = call.await;
        self.latency[operation as usize].observe_duration(watch.elapsed());
        if result.is_err() {
            self.errors[operation as usize].inc();
        }
        result
    }
}

#[async_trait]
impl Store for MeteredStore {
    fn partitions(&self) -> Partitions {
        self.inner.partitions()
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        self.measure(Operation::Now, self.inner.now()).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.measure(Operation::Get, self.inner.get(keys)).await
    }

    async fn versions(&self, keys: &[Key]) -> Result<Vec<RecordVersion>, Error> {
        self.measure(Operation::Versions, self.inner.versions(keys)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        let span = trace::child(|| {
            info_span!(
                target: trace::TARGET,
                "store.commit",
                otel.kind = "client",
                db.system.name = self.kind,
                db.operation.name = "commit",
                rollcall.outcome = Empty,
            )
        });
        let call = self.measure(Operation::Commit, self.inner.commit(commit));
        let committed = call.instrument(span.clone()).await?;
        span.record("rollcall.outcome", OUTCOMES[outcome(&committed)]);
        self.outcomes[outcome(&committed)].inc();
        Ok(committed)
    }

    async fn touch(&self, partition: Partition, timers: &[Timer]) -> Result<Vec<TimerId>, Error> {
        self.measure(Operation::Touch, self.inner.touch(partition, timers)).await
    }

    async fn due(
        &self,
        partition: Partition,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, Error> {
        self.measure(Operation::Due, self.inner.due(partition, set, until, after, limit)).await
    }

    async fn unpublished(&self, partition: Partition, limit: usize) -> Result<Vec<Entry>, Error> {
        self.measure(Operation::Unpublished, self.inner.unpublished(partition, limit)).await
    }

    async fn published(&self, partition: Partition, sequences: &[u64]) -> Result<(), Error> {
        self.measure(Operation::Published, self.inner.published(partition, sequences)).await
    }

    async fn heads(&self) -> Result<Heads, Error> {
        self.measure(Operation::Heads, self.inner.heads()).await
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    async fn open_lease(&self, boot: BootId, token: TokenHash) -> Result<Opening, Error> {
        self.measure(Operation::OpenLease, self.inner.open_lease(boot, token)).await
    }

    async fn renew_lease(&self, boot: BootId, token: TokenHash, nonce: Nonce) -> Result<Renewal, Error> {
        self.measure(Operation::RenewLease, self.inner.renew_lease(boot, token, nonce)).await
    }

    async fn retire_lease(&self, boot: BootId, token: TokenHash) -> Result<bool, Error> {
        self.measure(Operation::RetireLease, self.inner.retire_lease(boot, token)).await
    }

    async fn leases(&self) -> Result<Vec<Lease>, Error> {
        self.measure(Operation::Leases, self.inner.leases()).await
    }

    async fn kill_lease(&self, boot: BootId, nonce: Nonce) -> Result<bool, Error> {
        self.measure(Operation::KillLease, self.inner.kill_lease(boot, nonce)).await
    }

    async fn forget_lease(&self, boot: BootId) -> Result<bool, Error> {
        self.measure(Operation::ForgetLease, self.inner.forget_lease(boot)).await
    }

    async fn window(&self, window: &Window, limit: u32, span: Duration) -> Result<Admission, Error> {
        self.measure(Operation::Window, self.inner.window(window, limit, span)).await
    }
}
