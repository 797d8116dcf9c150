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
    friends: Histogram,
    imported: [Counter; 3],
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
    /// Reads all friends of a user.
    GetFriends,
    /// Adds friends.
    AddFriends,
    /// Removes friends.
    RemoveFriends,
    /// Adds edges of many users.
    ImportFriends,
    /// Reads a page of friends.
    ListFriends,
}

const METHODS: &[&str] = &[
    "subscribe",
    "unsubscribe",
    "list_subscriptions",
    "get_list_versions",
    "get_friends",
    "add_friends",
    "remove_friends",
    "import_friends",
    "list_friends",
];

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
            friends: registry.histogram(
                "rollcall_subscription_friends",
                "Friends of a user, after they were changed or read.",
                COUNTS,
            ),
            imported: registry.counters(
                "rollcall_subscription_imported_edges",
                "Edges of imports by what became of them.",
                "result",
                ["added", "known", "refused"],
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

    /// Counts a user's friends by their number.
    pub(crate) fn befriended(&self, friends: usize) {
        self.friends.observe(friends as u64);
    }

    /// Counts an edge of an import by whether it is new, or was refused.
    pub(crate) fn imported(&self, edge: &Result<bool, Refusal>) {
        let [added, known, refused] = &self.imported;
        let counter = match edge {
            Ok(true) => added,
            Ok(false) => known,
            Err(_) => refused,
        };
        counter.inc();
    }
}
