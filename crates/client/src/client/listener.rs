//! Listeners, and the one task that calls them (SPEC L2).
//!
//! Invariant: no lock is held while a listener runs, so a listener may call the client, add and remove listeners.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parking_lot::Mutex;
use tracing::error;

use super::mailbox::{Event, Receiver};
use crate::{Code, UserStatus};

/// Most statuses in one callback (SPEC F6).
const MAX_STATUSES: usize = 100;

/// Hears of status changes and of the connection.
///
/// All listeners of a client are called in the order in which they were added, one event after the other, on one
/// task. A listener should return soon: while one blocks, the others wait, and once 64 events wait they are
/// folded into the latest state of the connection and the latest status of each user. A listener that panics is
/// logged and is called again for the next event.
///
/// A listener that holds a [`Client`](crate::Client) keeps it alive until it is removed.
pub trait Listener: Send + Sync + 'static {
    /// Hears of new statuses, of the user's own and of those watched: at most 100 in one call, in increasing
    /// versions for each user.
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        let _ = statuses;
    }

    /// Hears that the client begins to connect: once for each login and once for each lost connection, however
    /// many attempts it takes.
    fn on_connecting(&self) {}

    /// Hears that the user is connected and logged in, at first or again.
    fn on_connected(&self) {}

    /// Hears that the connection is lost (9508), or that logging in again was refused (any other code). In the
    /// first case `on_connecting` follows and the client connects again, unless
    /// [`Client::get_login_user`](crate::Client::get_login_user) is none: then the same device logged in
    /// elsewhere or the server forbids to come back, and the app may log in anew, as after a refusal.
    fn on_disconnected(&self, code: Code, description: &str) {
        let _ = (code, description);
    }

    /// Hears that a newer login or the app's backend ended the session. The user is logged out.
    fn on_kicked_offline(&self) {}

    /// Hears that the token has run out. While connected the user is still logged in: calls fail with 6206 until
    /// [`Client::refresh_token`](crate::Client::refresh_token) shows a new one, and without it the session ends a
    /// minute later, with `on_disconnected` (6206). If the token ran out while the connection was lost, the user is
    /// logged out already ([`Client::get_login_user`](crate::Client::get_login_user) is none): log in with a new one.
    fn on_user_sig_expired(&self) {}
}

impl<L: Listener + ?Sized> Listener for Arc<L> {
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        (**self).on_user_status_changed(statuses);
    }

    fn on_connecting(&self) {
        (**self).on_connecting();
    }

    fn on_connected(&self) {
        (**self).on_connected();
    }

    fn on_disconnected(&self, code: Code, description: &str) {
        (**self).on_disconnected(code, description);
    }

    fn on_kicked_offline(&self) {
        (**self).on_kicked_offline();
    }

    fn on_user_sig_expired(&self) {
        (**self).on_user_sig_expired();
    }
}

/// Names a listener of one client, for its removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// The listeners of a client, in the order in which they were added.
#[derive(Default)]
pub(super) struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    added: u64,
    listeners: Vec<(ListenerId, Arc<dyn Listener>)>,
}

impl Registry {
    pub(super) fn add(&self, listener: Arc<dyn Listener>) -> ListenerId {
        let mut entries = self.entries.lock();
        entries.added += 1;
        let id = ListenerId(entries.added);
        entries.listeners.push((id, listener));
        id
    }

    /// Removes a listener: no call of it begins after this has returned. Says whether it was there.
    pub(super) fn remove(&self, id: ListenerId) -> bool {
        let removed = {
            let mut entries = self.entries.lock();
            let position = entries.listeners.iter().position(|(other, _)| *other == id);
            position.map(|position| entries.listeners.remove(position))
        };
        // The listener is dropped here, without the lock: its own `drop` may call the client.
        removed.is_some()
    }

    /// Calls every listener with the event. One that is removed meanwhile is not called any more, one that is
    /// added meanwhile is called from the next event on.
    pub(super) fn deliver(&self, event: &Event) {
        let ids: Vec<ListenerId> = self.entries.lock().listeners.iter().map(|(id, _)| *id).collect();
        for id in ids {
            let Some(listener) = self.find(id) else { continue };
            if catch_unwind(AssertUnwindSafe(|| call(&*listener, event))).is_err() {
                error!("a listener panicked");
            }
        }
    }

    fn find(&self, id: ListenerId) -> Option<Arc<dyn Listener>> {
        let entries = self.entries.lock();
        entries.listeners.iter().find(|(other, _)| *other == id).map(|(_, listener)| listener.clone())
    }
}

/// Calls the listeners until the client is gone and its last event was heard.
pub(super) async fn run(events: Receiver, registry: Arc<Registry>) {
    while let Some(event) = events.take().await {
        registry.deliver(&event);
        tokio::task::yield_now().await;
    }
}

fn call(listener: &dyn Listener, event: &Event) {
    match event {
        Event::Connecting => listener.on_connecting(),
        Event::Connected => listener.on_connected(),
        Event::Disconnected(error) => listener.on_disconnected(error.code, &error.description),
        Event::KickedOffline => listener.on_kicked_offline(),
        Event::UserSigExpired => listener.on_user_sig_expired(),
        Event::Statuses(statuses) => {
            statuses.chunks(MAX_STATUSES).for_each(|chunk| listener.on_user_status_changed(chunk));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use rollcall_domain::id::UserId;

    use super::*;
    use crate::{Error, General};

    /// Writes down what it hears, and can do something when it does.
    struct Recorder {
        name: &'static str,
        heard: Arc<Mutex<Vec<String>>>,
        then: Box<dyn Fn() + Send + Sync>,
    }

    impl Recorder {
        fn note(&self, what: &str) {
            self.heard.lock().push(format!("{} {what}", self.name));
            (self.then)();
        }
    }

    impl Listener for Recorder {
        fn on_user_status_changed(&self, statuses: &[UserStatus]) {
            self.note(&format!("statuses {}", statuses.len()));
        }

        fn on_connecting(&self) {
            self.note("connecting");
        }

        fn on_disconnected(&self, code: Code, description: &str) {
            self.note(&format!("disconnected {code} {description}"));
        }
    }

    fn recorder(
        name: &'static str,
        heard: &Arc<Mutex<Vec<String>>>,
        then: impl Fn() + Send + Sync + 'static,
    ) -> Arc<dyn Listener> {
        Arc::new(Recorder { name, heard: heard.clone(), then: Box::new(then) })
    }

    // SPEC L2
    #[test]
    fn listeners_are_called_in_order_and_a_removed_one_is_not() {
        let (registry, heard) = (Registry::default(), Arc::default());
        let first = registry.add(recorder("first", &heard, || ()));
        registry.add(Arc::new(recorder("second", &heard, || ())));
        registry.deliver(&Event::Connecting);
        assert!(registry.remove(first));
        assert!(!registry.remove(first));
        registry.deliver(&Event::Disconnected(Error::disconnected("gone")));
        assert_eq!(*heard.lock(), ["first connecting", "second connecting", "second disconnected 9508 gone"]);
    }

    // SPEC L2
    #[test]
    fn a_listener_may_remove_itself_and_the_next_one_and_add_another() {
        let (registry, heard) = (Arc::new(Registry::default()), Arc::default());
        let ids: Arc<Mutex<Vec<ListenerId>>> = Arc::default();
        let weak: Weak<Registry> = Arc::downgrade(&registry);
        let then = {
            let (ids, heard) = (ids.clone(), Arc::clone(&heard));
            move || {
                let registry = weak.upgrade().unwrap();
                for id in ids.lock().drain(..) {
                    registry.remove(id);
                }
                registry.add(recorder("third", &heard, || ()));
            }
        };
        let first = registry.add(recorder("first", &heard, then));
        let second = registry.add(recorder("second", &heard, || ()));
        ids.lock().extend([first, second]);
        registry.deliver(&Event::Connecting);
        registry.deliver(&Event::Connecting);
        assert_eq!(*heard.lock(), ["first connecting", "third connecting"]);
    }

    #[test]
    fn a_listener_that_panics_does_not_silence_the_others() {
        let (registry, heard) = (Registry::default(), Arc::default());
        registry.add(recorder("first", &heard, || panic!("as the test wants")));
        registry.add(recorder("second", &heard, || ()));
        registry.deliver(&Event::Connecting);
        assert_eq!(*heard.lock(), ["first connecting", "second connecting"]);
    }

    // SPEC F6
    #[test]
    fn one_callback_carries_at_most_100_statuses() {
        let (registry, heard) = (Registry::default(), Arc::default());
        registry.add(recorder("only", &heard, || ()));
        let status = |n: u64| UserStatus {
            user_id: UserId::new(&format!("u{n}")).unwrap(),
            general: General::Online,
            custom: String::new(),
            version: n,
        };
        registry.deliver(&Event::Statuses((0..201).map(status).collect()));
        assert_eq!(*heard.lock(), ["only statuses 100", "only statuses 100", "only statuses 1"]);
    }
}
