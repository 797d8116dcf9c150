//! What the tests of this crate share: a store whose clock they set, and a bus that they can break.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rollcall_bus::{Bus, Error, Message, Replay, Requests, Start, Subject, Subscription};
use rollcall_domain::{
    friend::FriendList,
    id::{AppId, BootId, DeviceId, Platform, SessionId, UserId},
    policy::Group,
    subscription::SubscriptionList,
    time::Timestamp,
    user::{Decision, SESSIONS_MAX, Session, UserState},
};
use rollcall_store::{MemoryStore, Partitions};

use crate::{Lists, Publisher, Publishing, Relay, Users};

pub(crate) const IDLE_AFTER: Duration = Duration::from_hours(24);
pub(crate) const EXPIRY: Duration = Duration::from_secs(400);

pub(crate) struct Fixture {
    pub(crate) clock: Arc<AtomicU64>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) bus: Arc<BreakableBus>,
    pub(crate) users: Users,
    pub(crate) lists: Lists<SubscriptionList>,
    pub(crate) friends: Lists<FriendList>,
    pub(crate) publishing: Publishing,
}

impl Fixture {
    /// Begins at second 1,000.
    pub(crate) fn new() -> Self {
        let clock = Arc::new(AtomicU64::new(1_000_000_000));
        let read = Arc::clone(&clock);
        let now = move || Timestamp(read.load(Ordering::SeqCst));
        let store = Arc::new(MemoryStore::new(Partitions::EMBEDDED, Arc::new(now)));
        let bus = Arc::new(BreakableBus::default());
        let (publisher, publishing) = Publisher::new(store.clone(), bus.clone());
        let users = Users::new(store.clone(), publisher.clone());
        let lists = Lists::<SubscriptionList>::new(store.clone(), publisher.clone(), IDLE_AFTER);
        let friends = Lists::<FriendList>::new(store.clone(), publisher);
        Self { clock, store, bus, users, lists, friends, publishing }
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.clock.fetch_add(u64::try_from(duration.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn relay(&self) -> Relay {
        let second = Duration::from_secs(1);
        Relay::new(self.store.clone(), self.bus.clone(), second, second, Arc::default())
    }
}

/// Remembers what is published, and refuses it while it is broken.
#[derive(Default)]
pub(crate) struct BreakableBus {
    pub(crate) broken: AtomicBool,
    messages: Mutex<Vec<Message>>,
}

impl BreakableBus {
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock())
    }
}

#[async_trait]
impl Bus for BreakableBus {
    async fn publish(&self, message: Message) -> Result<(), Error> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("on purpose".to_owned()));
        }
        self.messages.lock().push(message);
        Ok(())
    }

    async fn subscribe_status(&self) -> Result<Subscription, Error> {
        Err(Error::Unavailable("not in these tests".to_owned()))
    }

    async fn replay(&self, _start: Start) -> Result<Replay, Error> {
        Err(Error::Unavailable("not in these tests".to_owned()))
    }

    async fn request(&self, message: Message, _timeout: Duration) -> Result<Bytes, Error> {
        Err(Error::NobodyServes(message.subject))
    }

    async fn serve(&self, _subject: Subject) -> Result<Requests, Error> {
        Err(Error::Unavailable("not in these tests".to_owned()))
    }
}

pub(crate) fn app() -> AppId {
    AppId::new(7).unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn session(counter: u64) -> SessionId {
    SessionId { boot: BootId(1), counter }
}

/// Logs a session in, on a device of its own.
pub(crate) fn login(state: &UserState, counter: u64, now: Timestamp) -> Option<Decision> {
    let device = DeviceId::new(&format!("device{counter}")).unwrap();
    let group = Group { platforms: &Platform::ALL, limit: SESSIONS_MAX };
    state.on_login(session(counter), Session::new(Platform::Web, device, None), group, EXPIRY, now).unwrap()
}
