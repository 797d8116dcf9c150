//! All that presence counts and measures.

use std::sync::Arc;

use rollcall_domain::{id::SessionId, user::EndReason};
use rollcall_records::OutboxCounts;
use rollcall_runtime::metrics::{Counter, Gauge, Histogram, LONG, Registry};
use rollcall_store::port::{Lease, Standing};

use crate::{leases::Leases, overdue::Overdue};

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
    /// Sessions of which gateways asserted that they hold them, and that are held again.
    pub(crate) asserted: Counter,
    /// What a store in a new epoch had lost.
    pub(crate) lost: Lost,
    /// Sessions ended, in the order of [`Metrics::ended`] and at last those of dead gateways.
    ended: [Counter; 6],
    /// Sessions that live on for a while after their gateway closed the connection.
    moved: Counter,
    /// Sessions whose deadlines have passed and whose gateway lives.
    pub(crate) overdue: OverdueSessions,
    /// What gateways tell of all their sessions.
    pub(crate) digests: Digests,
    /// Gateways declared dead here.
    pub(crate) dead: Counter,
    /// Looks for passed deadlines.
    pub(crate) sweeps: Counter,
    /// Users who were heard of between the look and the commit.
    pub(crate) spared: Counter,
    /// Timers removed because no record knew their session.
    pub(crate) strays: Counter,
    /// Failures to end sessions whose deadline has passed.
    pub(crate) sweep_failures: Counter,
    /// How long after their deadline sessions ended.
    pub(crate) lag: Histogram,
    /// Custom statuses that clear by themselves.
    pub(crate) clears: Clears,
    /// Calls of the admin service refused for their credential: unknown, and with too little access.
    pub(crate) shut_out: [Counter; 2],
}

/// The instruments of what a store in a new epoch had lost.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    /// Last sets of sessions that the store had lost, and that are in it again.
    pub(crate) put_back: Counter,
    /// Statuses that were given a version above one that the store had lost.
    pub(crate) raised: Counter,
    /// How often the store was found in a new epoch.
    pub(crate) epochs: Counter,
    /// 1 in the quiet time after that, else 0.
    pub(crate) quiet: Gauge,
}

/// The instruments of custom statuses that clear by themselves.
#[derive(Debug, Clone)]
pub(crate) struct Clears {
    /// Those that did.
    pub(crate) done: Counter,
    /// Failures to clear one whose time has come.
    pub(crate) failures: Counter,
    /// How long after their time they did.
    pub(crate) lag: Histogram,
}

/// The instruments of sessions whose deadlines have passed and whose gateway lives.
#[derive(Debug, Clone)]
pub(crate) struct OverdueSessions {
    /// Questions to gateways about them.
    pub(crate) questions: Counter,
    /// What became of them, in the order of [`Verdict`].
    verdicts: [Counter; 4],
}

/// What became of a session whose deadline has passed and whose gateway lives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    /// Its gateway answered that its connection is open.
    Live,
    /// Its gateway answered that its connection has ended.
    Ended,
    /// Its gateway answered that it does not know it.
    Unknown,
    /// Its gateway did not answer.
    Unanswered,
}

/// The instruments of what gateways tell of all their sessions.
#[derive(Debug, Clone)]
pub(crate) struct Digests {
    /// Digests that are as the timers, and those that are not.
    compared: [Counter; 2],
    /// Sessions about which a list and the timers did not agree, in the order of [`Differing`].
    differing: [Counter; 3],
}

/// What became of a session about which its gateway and the store did not agree.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Differing {
    /// Its gateway has it, and it had no timer: its gateway was told.
    Missing,
    /// It was asserted, and its timer is there again.
    TimerRestored,
    /// Its gateway does not have it: it ended.
    Ended,
}

/// The place of sessions whose gateway is dead, behind the reasons.
const ORPHANED: usize = 5;

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
            asserted: registry.counter(
                "rollcall_presence_sessions_asserted",
                "Sessions held again because their gateway has their connections.",
            ),
            lost: Lost::new(registry),
            ended: registry.counters(
                "rollcall_presence_sessions_ended",
                "Sessions ended; timeout is by passed deadlines and by reports of silent clients, orphaned by the \
                 death of a gateway.",
                "reason",
                ["closed", "timeout", "logout", "kicked", "replaced", "orphaned"],
            ),
            moved: registry.counter(
                "rollcall_presence_sessions_moved",
                "Sessions kept for a while after their gateway closed the connection: their clients are expected \
                 elsewhere.",
            ),
            overdue: OverdueSessions::new(registry),
            digests: Digests::new(registry),
            dead: registry.counter(
                "rollcall_presence_gateways_declared_dead",
                "Gateways that this process declared dead, for they did not report.",
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
            clears: Clears::new(registry),
            shut_out: registry.counters(
                "rollcall_presence_admin_calls_refused",
                "Calls of the admin service refused for their credential: none or one that is not known, or one \
                 that may do less.",
                "reason",
                ["unauthenticated", "denied"],
            ),
        }
    }

    /// Shows what presence holds.
    pub(crate) fn show(registry: &Registry, leases: &Leases, overdue: &Overdue, outbox: &Arc<OutboxCounts>) {
        let asked = overdue.clone();
        registry.gauge_of(
            "rollcall_presence_questions_open",
            "Sessions about which this process asked a gateway and that are not settled yet.",
            move || asked.open() as u64,
        );
        let gauge = |name, help, counts: fn(&Lease) -> bool| {
            let leases = leases.clone();
            let count = move || leases.known().iter().filter(|lease| counts(lease)).count() as u64;
            registry.gauge_of(name, help, count);
        };
        gauge("rollcall_presence_gateways", "Gateways that live.", Lease::is_live);
        gauge("rollcall_presence_gateways_dead", "Gateways that are dead and not forgotten yet.", |lease| {
            matches!(lease.standing, Standing::Dead(_))
        });
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

    /// Counts sessions that ended, or moved.
    pub(crate) fn ended(&self, reason: EndReason, sessions: usize) {
        let counter = match reason {
            EndReason::Closed => &self.ended[0],
            EndReason::Timeout => &self.ended[1],
            EndReason::Logout => &self.ended[2],
            EndReason::Kicked => &self.ended[3],
            EndReason::Replaced => &self.ended[4],
            EndReason::Moved => &self.moved,
        };
        counter.inc_by(sessions as u64);
    }

    /// Counts sessions that a decision ended.
    pub(crate) fn decided(&self, ended: &[(SessionId, EndReason)]) {
        for (_, reason) in ended {
            self.ended(*reason, 1);
        }
    }

    /// Counts sessions that ended because their gateway is dead.
    pub(crate) fn orphaned(&self, sessions: usize) {
        self.ended[ORPHANED].inc_by(sessions as u64);
    }
}

impl OverdueSessions {
    fn new(registry: &Registry) -> Self {
        Self {
            questions: registry.counter(
                "rollcall_presence_questions",
                "Questions to gateways that live about sessions whose deadlines have passed; one may be asked more \
                 than once.",
            ),
            verdicts: registry.counters(
                "rollcall_presence_verdicts",
                "What became of sessions whose deadlines have passed and whose gateway lives: as it answered, or \
                 ended by us for it does not know them or did not answer.",
                "verdict",
                ["live", "ended", "unknown", "unanswered"],
            ),
        }
    }

    /// Counts sessions of which it is known what became of them.
    pub(crate) fn judged(&self, verdict: Verdict, sessions: usize) {
        self.verdicts[verdict as usize].inc_by(sessions as u64);
    }
}

impl Digests {
    fn new(registry: &Registry) -> Self {
        Self {
            compared: registry.counters(
                "rollcall_presence_digests",
                "Digests of the sessions that a gateway has in a partition, compared with what is stored. Those that are \
                 under way make some differ.",
                "result",
                ["equal", "different"],
            ),
            differing: registry.counters(
                "rollcall_presence_sessions_differing",
                "Sessions about which a gateway and the store did not agree: had by the gateway and without a timer, given a \
                 timer again, and ended because the gateway does not have them.",
                "outcome",
                ["missing", "timer_restored", "ended"],
            ),
        }
    }

    /// Counts a digest.
    pub(crate) fn compared(&self, is_equal: bool) {
        self.compared[usize::from(!is_equal)].inc();
    }

    /// Counts sessions.
    pub(crate) fn differed(&self, what: Differing, sessions: usize) {
        self.differing[what as usize].inc_by(sessions as u64);
    }
}

impl Lost {
    fn new(registry: &Registry) -> Self {
        Self {
            put_back: registry.counter(
                "rollcall_presence_sets_put_back",
                "Custom statuses that were acknowledged, that the store had lost, and that it has again.",
            ),
            raised: registry.counter(
                "rollcall_presence_statuses_raised",
                "Statuses given a version above one that was shown and that the store had lost.",
            ),
            epochs: registry.counter(
                "rollcall_presence_store_epochs",
                "How often the store was found in a new epoch: it may have lost what it had acknowledged.",
            ),
            quiet: registry.gauge(
                "rollcall_presence_quiet",
                "1 while nobody is judged because gateways still tell what the store may have lost, else 0.",
            ),
        }
    }
}

impl Clears {
    fn new(registry: &Registry) -> Self {
        Self {
            done: registry.counter(
                "rollcall_presence_custom_statuses_cleared",
                "Custom statuses that cleared by themselves.",
            ),
            failures: registry.counter(
                "rollcall_presence_clear_failures",
                "Failures to clear custom statuses whose time has come.",
            ),
            lag: registry.histogram(
                "rollcall_presence_clear_lag_seconds",
                "Time from when a custom status was to clear to when it did.",
                LONG,
            ),
        }
    }
}
