//! Events on their way to the listeners. Never full: when the listeners are slow, the latest of each kind stays.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Error, UserStatus};

/// Events that wait one by one; the next folds them. A listener that keeps up never has more than a few, and
/// each may carry 100 statuses.
const MAX_EVENTS: usize = 64;

/// Something that listeners hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Connecting,
    Connected,
    Disconnected(Error),
    KickedOffline,
    UserSigExpired,
    Statuses(Vec<UserStatus>),
}

/// Makes the two ends of a mailbox.
pub(super) fn mailbox() -> (Sender, Receiver) {
    let shared = Arc::<Shared>::default();
    (Sender(shared.clone()), Receiver(shared))
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    closed: bool,
}

/// Puts events in; its end ends the receiver.
pub(super) struct Sender(Arc<Shared>);

impl Sender {
    /// Puts an event in without waiting.
    pub(super) fn push(&self, event: Event) {
        {
            let mut state = self.0.state.lock();
            state.events.push_back(event);
            if state.events.len() > MAX_EVENTS {
                fold(&mut state.events);
            }
        }
        self.0.changed.notify_one();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_one();
    }
}

/// Takes events out.
pub(super) struct Receiver(Arc<Shared>);

impl Receiver {
    /// Takes the next event; none when the sender is gone and nothing is left.
    pub(super) async fn take(&self) -> Option<Event> {
        loop {
            {
                let mut state = self.0.state.lock();
                if let Some(event) = state.events.pop_front() {
                    return Some(event);
                }
                if state.closed {
                    return None;
                }
            }
            self.0.changed.notified().await;
        }
    }
}

/// Keeps the latest event of the connection, and after it the latest status of each user.
fn fold(events: &mut VecDeque<Event>) {
    let mut latest = None;
    let mut statuses = BTreeMap::new();
    for event in events.drain(..) {
        match event {
            Event::Statuses(list) => statuses.extend(list.into_iter().map(|s| (s.user_id, s))),
            other => latest = Some(other),
        }
    }
    events.extend(latest);
    if !statuses.is_empty() {
        events.push_back(Event::Statuses(statuses.into_values().collect()));
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::id::UserId;

    use super::*;
    use crate::General;

    fn status(id: &str, version: u64) -> UserStatus {
        let user_id = UserId::new(id).unwrap();
        UserStatus { user_id, general: General::Online, custom: String::new(), version }
    }

    fn waiting(receiver: &Receiver) -> Vec<Event> {
        receiver.0.state.lock().events.iter().cloned().collect()
    }

    #[tokio::test]
    async fn events_come_out_one_by_one_in_order_and_then_the_end() {
        let (sender, receiver) = mailbox();
        sender.push(Event::Connecting);
        sender.push(Event::Connected);
        drop(sender);
        assert_eq!(receiver.take().await, Some(Event::Connecting));
        assert_eq!(receiver.take().await, Some(Event::Connected));
        assert_eq!(receiver.take().await, None);
    }

    #[tokio::test]
    async fn a_receiver_that_waits_hears_of_an_event_and_of_the_end() {
        let (sender, receiver) = mailbox();
        let (event, ()) = tokio::join!(receiver.take(), async { sender.push(Event::Connected) });
        assert_eq!(event, Some(Event::Connected));
        let (end, ()) = tokio::join!(receiver.take(), async { drop(sender) });
        assert_eq!(end, None);
    }

    // SPEC F5
    #[test]
    fn a_slow_listener_may_skip_states_but_never_the_last() {
        let (sender, receiver) = mailbox();
        sender.push(Event::Connecting);
        for version in 0..1000 {
            sender.push(Event::Statuses(vec![status("bob", version), status("carol", 7)]));
        }
        sender.push(Event::Connected);
        for version in 1000..1000 + MAX_EVENTS as u64 {
            sender.push(Event::Statuses(vec![status("bob", version)]));
        }
        let events = waiting(&receiver);
        assert!(events.len() <= MAX_EVENTS);
        assert_eq!(events[0], Event::Connected);
        let last = events.iter().rev().find_map(|event| match event {
            Event::Statuses(list) => list.iter().find(|s| s.user_id.as_str() == "bob"),
            _ => None,
        });
        assert_eq!(last.map(|s| s.version), Some(1000 + MAX_EVENTS as u64 - 1));
    }
}
