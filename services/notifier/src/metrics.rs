//! All that the notifier counts and measures.

use std::sync::Arc;

use rollcall_runtime::metrics::{Counter, Gauge, Registry};

use crate::router::Router;

/// The instruments of a notifier.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Changes heard: with interest, and without.
    changes: [Counter; 2],
    /// Slots of gateways that a change was put into.
    routed: Counter,
    /// Heads heard.
    pub(crate) heads: Counter,
    /// Messages that are no change.
    pub(crate) malformed: Counter,
    /// How often changes did not come, by partition.
    pub(crate) missed: Counter,
    /// How often the store was found in a new epoch.
    pub(crate) epochs: Counter,
    /// How often the bus ended the subscription to changes.
    pub(crate) lost: Counter,
}

impl Metrics {
    /// Makes the instruments, and shows what the router holds.
    pub(crate) fn new(registry: &Registry, router: &Arc<Router>) -> Self {
        let gauge = |name, help, read: fn(&Router) -> usize| {
            let router = Arc::clone(router);
            registry.gauge_of(name, help, move || read(&router) as u64);
        };
        gauge("rollcall_notifier_streams", "Streams of gateways.", |router| router.load().streams);
        gauge(
            "rollcall_notifier_interest_users",
            "Users in the interest of at least one gateway.",
            |router| router.load().users,
        );
        gauge(
            "rollcall_notifier_interest",
            "Users in the interest of gateways, each as often as it is in one.",
            |router| router.load().interest,
        );
        gauge("rollcall_notifier_slots_waiting", "Changes that wait for gateways to take them.", |router| {
            router.waiting()
        });
        Self {
            changes: registry.counters(
                "rollcall_notifier_changes",
                "Changes heard: routed to at least one gateway, or of interest to none.",
                "result",
                ["routed", "no_interest"],
            ),
            routed: registry.counter(
                "rollcall_notifier_changes_routed",
                "Changes routed, each as often as to a gateway.",
            ),
            heads: registry.counter(
                "rollcall_notifier_heads",
                "How often it was heard up to where the outboxes go, about once a second from each presence.",
            ),
            malformed: registry
                .counter("rollcall_notifier_messages_malformed", "Messages of the bus that are no change."),
            missed: registry.counter(
                "rollcall_notifier_holes",
                "How often changes of a partition did not come although later ones or heads did; gateways read again.",
            ),
            epochs: registry.counter(
                "rollcall_notifier_store_epochs",
                "How often the store was found in a new epoch: it may have lost what it had acknowledged.",
            ),
            lost: registry.counter(
                "rollcall_notifier_bus_lost",
                "How often changes may have been missed: the bus ended the subscription.",
            ),
        }
    }

    /// Counts a change that was routed to so many gateways.
    pub(crate) fn routed(&self, gateways: usize) {
        self.changes[usize::from(gateways == 0)].inc();
        self.routed.inc_by(gateways as u64);
    }
}

/// The instruments of the feed.
#[derive(Debug)]
pub(crate) struct FeedMetrics {
    /// Those who follow now.
    pub(crate) followers: Gauge,
    /// Changes brought to followers.
    pub(crate) events: Counter,
    /// Gaps that followers were told of, save for those of what is kept no more.
    pub(crate) gaps: Counter,
}

impl FeedMetrics {
    /// Makes the instruments.
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            followers: registry
                .gauge("rollcall_notifier_followers", "Internal services that follow all changes."),
            events: registry.counter("rollcall_notifier_feed_events", "Changes brought to followers."),
            gaps: registry.counter(
                "rollcall_notifier_feed_gaps",
                "Gaps in the sequence of a partition that followers were told of.",
            ),
        }
    }
}
