//! All that the gateway counts and measures.

use std::sync::{Arc, Weak};

use rollcall_domain::code::{Code, Refusal};
use rollcall_proto::{
    client::v1::client_frame::Call,
    gateway::v1::{ReportRequest, answer::Fate},
};
use rollcall_runtime::metrics::{Counter, Gauge, Registry, Table};

use crate::{Gateway, hub::Tally};

/// The instruments of a gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Connections that are open, also those that are not logged in.
    connections: Gauge,
    /// Calls of clients, by method and code.
    calls: Table,
    /// Frames received of clients.
    pub(crate) frames_received: Counter,
    /// Frames sent: replies, and pushes.
    frames_sent: [Counter; 2],
    /// Changes that the notifier sent.
    pub(crate) changes: Counter,
    /// Passes in which what may have been missed was read again.
    pub(crate) resyncs: Counter,
    /// How often the store was found in a new epoch.
    pub(crate) epochs: Counter,
    /// How often this gateway was cut off from presence.
    pub(crate) cut_offs: Counter,
    /// Clients that were asked to move to another gateway.
    pub(crate) asked_to_move: Counter,
    /// Statuses of which presence was asked for a version above the one that is shown.
    pub(crate) raises: Counter,
    /// Loads of a user's friends that are done.
    pub(crate) friend_loads: Counter,
    /// Reports to presence, in the order of [`Reported`].
    reports: [Counter; 3],
    /// Answers that presence took, in the order of [`Metrics::answered`].
    answers: [Counter; 3],
    /// What presence was told of all sessions of a partition: digests, and lists.
    digests: [Counter; 2],
    /// Connections refused, in the order of [`Refused`].
    refused: [Counter; 5],
}

macro_rules! methods {
    ($($name:ident = $text:literal,)*) => {
        /// What a client can call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Method { $($name,)* None }

        impl Method {
            const NAMES: &[&str] = &[$($text,)* "none"];

            /// Says what a frame calls.
            pub(crate) fn of(call: Option<&Call>) -> Self {
                match call { $(Some(Call::$name(_)) => Self::$name,)* None => Self::None }
            }

            /// Returns the name, as in the contract.
            pub(crate) fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }
    };
}

methods! {
    Login = "login",
    Logout = "logout",
    Ping = "ping",
    SetSelfStatus = "set_self_status",
    GetUserStatus = "get_user_status",
    Subscribe = "subscribe",
    Unsubscribe = "unsubscribe",
    ListSubscriptions = "list_subscriptions",
    RefreshToken = "refresh_token",
}

/// How a report went.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reported {
    /// Presence answered over the bus.
    Answered,
    /// It answered by gRPC only.
    AnsweredPastBus,
    /// It did not answer.
    Unanswered,
}

/// Why a connection was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refused {
    /// The origin is not allowed.
    Origin,
    /// No known subprotocol was offered.
    Subprotocol,
    /// The gateway is not ready.
    NotReady,
    /// All connections are taken.
    Full,
    /// Too many came in this second.
    Rate,
}

/// A frame that is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sent {
    /// The reply to a call.
    Reply,
    /// Statuses.
    Push,
}

impl Metrics {
    /// Makes the instruments.
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            connections: registry
                .gauge("rollcall_gateway_connections", "Connections of clients that are open."),
            calls: calls(registry),
            frames_received: registry.counter(
                "rollcall_gateway_frames_received",
                "Frames received of clients that are logged in.",
            ),
            frames_sent: registry.counters(
                "rollcall_gateway_frames_sent",
                "Frames written to clients: replies to calls, and pushes of statuses.",
                "kind",
                ["reply", "push"],
            ),
            changes: registry.counter("rollcall_gateway_changes", "Changes that a notifier sent."),
            resyncs: registry.counter(
                "rollcall_gateway_resyncs",
                "Passes in which what changes may have been missed of was read again.",
            ),
            epochs: registry.counter(
                "rollcall_gateway_store_epochs",
                "How often the store was found in a new epoch: it may have lost what it had acknowledged.",
            ),
            cut_offs: registry.counter(
                "rollcall_gateway_cut_offs",
                "How often presence answered no report for so long that clients were not let in any more.",
            ),
            asked_to_move: registry.counter(
                "rollcall_gateway_clients_asked_to_move",
                "Clients that were asked to move to another gateway: this one was cut off from presence, or stopped.",
            ),
            raises: registry.counter(
                "rollcall_gateway_raises",
                "Statuses shown with a version that the store did not have any more, for which presence was asked for a \
                 later one.",
            ),
            friend_loads: registry.counter(
                "rollcall_gateway_friend_loads",
                "Times that the friends of a user were read, with the statuses of those that were new.",
            ),
            reports: registry.counters(
                "rollcall_gateway_reports",
                "Reports to presence: answered over the bus, by gRPC past it, or not at all.",
                "result",
                ["answered", "answered_past_bus", "unanswered"],
            ),
            answers: registry.counters(
                "rollcall_gateway_answers",
                "Answers to presence about sessions whose deadlines have passed there: their connections are open, \
                 have ended, or are not known.",
                "fate",
                ["live", "ended", "unknown"],
            ),
            digests: registry.counters(
                "rollcall_gateway_digests",
                "Times that presence was told which sessions there are in a partition: by a digest, or by a list where \
                 that was not what it holds.",
                "kind",
                ["digest", "list"],
            ),
            refused: registry.counters(
                "rollcall_gateway_connections_refused",
                "Connections of clients that were refused.",
                "reason",
                ["origin", "subprotocol", "not_ready", "full", "rate"],
            ),
        }
    }

    /// Shows what the gateway holds.
    pub(crate) fn show(registry: &Registry, gateway: &Arc<Gateway>) {
        let gauge = |name, help, read: fn(&Gateway) -> usize| {
            let gateway = Arc::downgrade(gateway);
            registry.gauge_of(name, help, move || read_of(&gateway, |gateway| read(gateway) as u64));
        };
        gauge("rollcall_gateway_sessions", "Sessions held.", |gateway| gateway.hub.counts().0);
        gauge(
            "rollcall_gateway_users",
            "Users held: those with a session here, and those they watch.",
            |gateway| gateway.hub.counts().1,
        );
        gauge(
            "rollcall_gateway_edges",
            "Pairs of a user with a session here and one it watches.",
            |gateway| gateway.hub.edges(),
        );
        gauge(
            "rollcall_gateway_friend_loads_waiting",
            "Users with a session here whose friends wait to be read.",
            |gateway| gateway.friend_loads.waiting(),
        );
        gauge(
            "rollcall_gateway_ends_remembered",
            "Sessions of which it is remembered how they ended, should presence ask.",
            |gateway| gateway.hub.ends(),
        );
        let counter = |name, help, read: fn(&Tally) -> u64| {
            let gateway = Arc::downgrade(gateway);
            registry.counter_of(name, help, move || read_of(&gateway, |gateway| read(&gateway.hub.tally())));
        };
        counter(
            "rollcall_gateway_statuses_applied",
            "Statuses that were newer than the one shown.",
            |tally| tally.applied,
        );
        counter(
            "rollcall_gateway_statuses_stale",
            "Statuses that were not newer than the one shown.",
            |tally| tally.stale,
        );
        counter(
            "rollcall_gateway_silent_clients",
            "Sessions ended because their clients were silent.",
            |tally| tally.silent,
        );
    }

    /// Counts the reply to a call.
    pub(crate) fn called(&self, method: Method, code: Code) {
        let column = Code::ALL.iter().position(|one| *one == code).unwrap_or_default();
        self.calls.at(method as usize, column).inc();
    }

    /// Counts the reply to a call by its result.
    pub(crate) fn ended<T>(&self, method: Method, result: &Result<T, Refusal>) {
        self.called(method, result.as_ref().err().map_or(Code::Ok, |refusal| refusal.code));
    }

    /// Counts a frame that is sent.
    pub(crate) fn sent(&self, frame: Sent) {
        self.frames_sent[frame as usize].inc();
    }

    /// Counts a report.
    pub(crate) fn reported(&self, how: Reported) {
        self.reports[how as usize].inc();
    }

    /// Counts what presence took of a report.
    pub(crate) fn answered(&self, report: &ReportRequest) {
        self.digests[0].inc_by(report.digests.len() as u64);
        self.digests[1].inc_by(report.lists.len() as u64);
        for answer in &report.answers {
            let fate = match answer.fate {
                Some(Fate::LiveAgeMs(_)) => &self.answers[0],
                Some(Fate::Ended(_)) => &self.answers[1],
                None => &self.answers[2],
            };
            fate.inc();
        }
    }

    /// Counts a connection that was refused.
    pub(crate) fn refused(&self, why: Refused) {
        self.refused[why as usize].inc();
    }

    /// Counts a connection as open until what is returned is dropped.
    pub(crate) fn open(&self) -> Open {
        self.connections.inc();
        Open(self.connections.clone())
    }
}

fn calls(registry: &Registry) -> Table {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.label()).collect();
    let help = "Calls of clients by the code of their reply; logins among them.";
    registry.table("rollcall_gateway_calls", help, ("method", Method::NAMES), ("code", &codes))
}

/// An open connection.
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Reads something of a gateway; 0 once it is gone.
fn read_of(gateway: &Weak<Gateway>, read: impl Fn(&Gateway) -> u64) -> u64 {
    gateway.upgrade().map(|gateway| read(&gateway)).unwrap_or_default()
}
