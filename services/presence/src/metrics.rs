//! All that presence counts and measures.

use std::{sync::Arc, time::Duration};

use rollcall_domain::user::EndReason;
use rollcall_records::OutboxCounts;
use rollcall_runtime::metrics::{Counter, Histogram, LONG, Registry};

use crate::boots::Boots;

/// The instruments of presence. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Reports of gateways: answered, and not.
    reports: [Counter; 2],
    /// Parts of reports that were skipped, for they say nothing that can be read.
    pub(crate) malformed: Counter,
    /// Sessions of which gateways reported that they were heard.
    pub(crate) touched: Counter,
    /// Those among them that do not exist.
    pub(crate) missing: Counter,
    /// Sessions ended, in the order of [`ended`].
    ended: [Counter; 5],
    /// Looks for passed deadlines.
    pub(crate) sweeps: Counter,
    /// Users who were heard of between the look and the commit.
    pub(crate) spared: Counter,
    /// Timers removed because no record knew their session.
    pub(crate) strays: Counter,
    /// Failures to end sessions whose deadline has passed.
    pub(crate) sweep_failures: Counter,
    lag: Histogram,
}

fn ended(reason: EndReason) -> usize {
    match reason {
        EndReason::Closed => 0,
        EndReason::Timeout => 1,
        EndReason::Logout => 2,
        EndReason::Kicked => 3,
        EndReason::Replaced => 4,
    }
}

impl Metrics {
    /// Makes the instruments.
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            reports: registry.counters(
                "rollcall_presence_reports",
                "Reports of gateways.",
                "result",
                ["answered", "unanswered"],
            ),
            malformed: registry
                .counter("rollcall_presence_report_parts_malformed", "Parts of reports that were skipped."),
            touched: registry
                .counter("rollcall_presence_sessions_touched", "Sessions that were reported as heard."),
            missing: registry.counter(
                "rollcall_presence_sessions_missing",
                "Sessions that were reported as heard and do not exist.",
            ),
            ended: registry.counters(
                "rollcall_presence_sessions_ended",
                "Sessions ended; timeout is by passed deadlines and by reports of silent clients.",
                "reason",
                ["closed", "timeout", "logout", "kicked", "replaced"],
            ),
            sweeps: registry.counter("rollcall_presence_sweeps", "Looks for passed deadlines."),
            spared: registry.counter(
                "rollcall_presence_sweep_spared",
                "Users who were heard of between the look and the commit.",
            ),
            strays: registry.counter(
                "rollcall_presence_sweep_strays",
                "Timers removed because no record knew their session.",
            ),
            sweep_failures: registry.counter(
                "rollcall_presence_sweep_failures",
                "Failures to end sessions whose deadline has passed.",
            ),
            lag: registry.histogram(
                "rollcall_presence_sweep_lag_seconds",
                "Time from a session's deadline to its end by a sweep.",
                LONG,
            ),
        }
    }

    /// Shows what presence holds.
    pub(crate) fn show(registry: &Registry, boots: &Arc<Boots>, outbox: &Arc<OutboxCounts>) {
        let boots = Arc::clone(boots);
        let count = move || boots.all().len() as u64;
        registry.gauge_of("rollcall_presence_boots", "Boots of gateways that are known.", count);
        let counter = |name, help, read: fn(&OutboxCounts) -> u64| {
            let outbox = Arc::clone(outbox);
            registry.counter_of(name, help, move || read(&outbox));
        };
        counter(
            "rollcall_presence_outbox_published",
            "Outbox entries published at once, by whom they were committed.",
            OutboxCounts::published,
        );
        counter(
            "rollcall_presence_outbox_left",
            "Outbox entries left to the relay, for the queue was full or the bus failed.",
            OutboxCounts::left,
        );
        counter(
            "rollcall_presence_outbox_relayed",
            "Outbox entries published by the relay, of whatever process.",
            OutboxCounts::relayed,
        );
    }

    /// Counts a report.
    pub(crate) fn reported(&self, answered: bool) {
        self.reports[usize::from(!answered)].inc();
    }

    /// Counts sessions that ended.
    pub(crate) fn ended(&self, reason: EndReason, sessions: usize) {
        self.ended[ended(reason)].inc_by(sessions as u64);
    }

    /// Counts sessions that a sweep ended so long after their deadline.
    pub(crate) fn swept(&self, sessions: usize, lag: Duration) {
        self.ended(EndReason::Timeout, sessions);
        self.lag.observe_duration(lag);
    }
}
