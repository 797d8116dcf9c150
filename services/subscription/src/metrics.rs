//! All that subscription counts and measures.

use std::sync::Arc;

use rollcall_domain::code::{Code, Refusal};
use rollcall_records::OutboxCounts;
use rollcall_runtime::metrics::{COUNTS, Counter, Histogram, Registry, Table};

/// The instruments of subscription. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    calls: Table,
    sizes: Histogram,
    /// Looks for lists whose users have left: done, and given up.
    pub(crate) looks: [Counter; 2],
    /// What was decided upon lists that might go: gone, put off, and unknown.
    pub(crate) idle: [Counter; 3],
}

/// What can be called, in the order of the names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Method {
    /// Subscribes.
    Subscribe,
    /// Unsubscribes.
    Unsubscribe,
    /// Reads a list.
    List,
    /// Reads the versions of lists.
    Versions,
}

const METHODS: &[&str] = &["subscribe", "unsubscribe", "list_subscriptions", "get_list_versions"];

impl Metrics {
    /// Makes the instruments.
    pub(crate) fn new(registry: &Registry) -> Self {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.label()).collect();
        Self {
            calls: registry.table(
                "rollcall_subscription_calls",
                "Calls by the code of their reply.",
                ("method", METHODS),
                ("code", &codes),
            ),
            sizes: registry.histogram(
                "rollcall_subscription_list_size",
                "Subscriptions on a list, after it was changed or read.",
                COUNTS,
            ),
            looks: registry.counters(
                "rollcall_subscription_idle_looks",
                "Looks for lists whose users have left.",
                "result",
                ["done", "given_up"],
            ),
            idle: registry.counters(
                "rollcall_subscription_idle_lists",
                "Lists that might go: gone with all subscriptions, put off for their user was ONLINE since, or left for the \
                 next look because nothing is known of the user.",
                "result",
                ["gone", "put_off", "unknown"],
            ),
        }
    }

    /// Shows what becomes of the outbox.
    pub(crate) fn show(registry: &Registry, outbox: &Arc<OutboxCounts>) {
        let (published, left) = (Arc::clone(outbox), Arc::clone(outbox));
        registry.counter_of(
            "rollcall_subscription_outbox_published",
            "Outbox entries published at once.",
            move || published.published(),
        );
        registry.counter_of(
            "rollcall_subscription_outbox_left",
            "Outbox entries left to presence's relay, for the queue was full or the bus failed.",
            move || left.left(),
        );
    }

    /// Counts a call by its refusal, if it was refused.
    pub(crate) fn called(&self, method: Method, refusal: Option<&Refusal>) {
        let code = refusal.map_or(Code::Ok, |refusal| refusal.code);
        let column = Code::ALL.iter().position(|one| *one == code).unwrap_or_default();
        self.calls.at(method as usize, column).inc();
    }

    /// Counts a list by its size.
    pub(crate) fn listed(&self, subscriptions: usize) {
        self.sizes.observe(subscriptions as u64);
    }
}
