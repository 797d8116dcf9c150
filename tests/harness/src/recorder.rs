//! A listener that writes down what it hears.

use parking_lot::Mutex;
use rollcall_client::{Code, Listener, UserStatus};

use crate::wait::eventually;

/// One callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// `on_user_status_changed`.
    Statuses(Vec<UserStatus>),
    /// `on_connecting`.
    Connecting,
    /// `on_connected`.
    Connected,
    /// `on_disconnected`, with its code.
    Disconnected(i32),
    /// `on_kicked_offline`.
    Kicked,
    /// `on_user_sig_expired`.
    SigExpired,
}

/// Writes down every callback, in order.
#[derive(Debug, Default)]
pub struct Recorder {
    heard: Mutex<Vec<Heard>>,
}

impl Recorder {
    /// Returns all callbacks so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    /// Counts the callbacks so far, as a mark for [`since`](Self::since).
    pub fn mark(&self) -> usize {
        self.heard.lock().len()
    }

    /// Returns all statuses that were shown after a mark, in order.
    pub fn since(&self, mark: usize) -> Vec<UserStatus> {
        let heard = self.heard.lock();
        let shown = heard[mark..].iter().filter_map(|heard| match heard {
            Heard::Statuses(statuses) => Some(statuses.clone()),
            _ => None,
        });
        shown.flatten().collect()
    }

    /// Returns all statuses of a user that were shown, in order.
    pub fn shown(&self, user: &str) -> Vec<UserStatus> {
        self.since(0).into_iter().filter(|status| status.user_id.as_str() == user).collect()
    }

    /// Waits until what was heard satisfies `until`.
    pub async fn wait_for(&self, what: &str, until: impl Fn(&[Heard]) -> bool) {
        eventually(what, async || until(&self.heard())).await;
    }

    /// Waits until the last status shown of a user satisfies `until`, and returns it.
    pub async fn wait_status(&self, user: &str, until: impl Fn(&UserStatus) -> bool) -> UserStatus {
        let mut found = None;
        eventually(&format!("a status of {user}"), async || {
            found = self.shown(user).pop().filter(&until);
            found.is_some()
        })
        .await;
        found.expect("just found")
    }

    fn note(&self, heard: Heard) {
        self.heard.lock().push(heard);
    }
}

impl Listener for Recorder {
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        self.note(Heard::Statuses(statuses.to_vec()));
    }

    fn on_connecting(&self) {
        self.note(Heard::Connecting);
    }

    fn on_connected(&self) {
        self.note(Heard::Connected);
    }

    fn on_disconnected(&self, code: Code, _: &str) {
        self.note(Heard::Disconnected(code.number()));
    }

    fn on_kicked_offline(&self) {
        self.note(Heard::Kicked);
    }

    fn on_user_sig_expired(&self) {
        self.note(Heard::SigExpired);
    }
}
