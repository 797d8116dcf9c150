//! What the tests of this crate share: presence over a memory store that can be set, broken and meddled with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use prost::Message as _;
use rollcall_bus::memory::MemoryBus;
use rollcall_domain::{
    app::{Edition, Settings},
    code::Code,
    epoch::Epoch,
    id::{AppId, BootId, DeviceId, Op, Platform, SessionId, UserId},
    policy::LoginPolicy,
    time::Timestamp,
    user::UserState,
};
use rollcall_proto::{event::v1::Change, trace::TraceParent};
use rollcall_records::{Error, Intent};
use rollcall_runtime::{Clock, config::Profile, metrics::Registry};
use rollcall_store::{
    Commit, Key, MemoryStore, Outcome, Partition, Partitions, Record, Store,
    port::{
        self, Admission, Entry, Lease, Nonce, Opening, Renewal, Timer, TimerId, TimerSet, TokenHash, Window,
    },
};
use serde_json::{Value, json};

use crate::{
    Config,
    admin::Wish,
    leases,
    service::Parts,
    sessions::{Caller, LoggedIn, Login, Query, Set},
};

/// The intent of changes of apps.
pub(crate) const TEST: Intent<'static> = Intent { who: "test", expected: None };

pub(crate) const EXPIRY: Duration = Duration::from_secs(400);
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// The store's time at the beginning, in seconds.
pub(crate) const START: u64 = 1_000_000;

pub(crate) struct Fixture {
    pub(crate) store: Arc<Meddled>,
    pub(crate) parts: Parts,
    /// The token key of [`app`].
    pub(crate) key: String,
}

impl Fixture {
    /// Begins at [`START`] with one app, PREMIUM, with *status* on, and with login policy MULTI.
    pub(crate) async fn new() -> Self {
        let store = Arc::new(Meddled::new());
        let config = Config::profile(Profile::Default);
        let parts = Parts::new(
            &config,
            store.clone(),
            Arc::new(MemoryBus::new(Clock::store_clock())),
            Clock::new(),
            &Registry::default(),
        );
        let wish = Wish {
            edition: Some(Edition::Premium),
            status: Some(true),
            friend_status: None,
            limits: None,
            login_policy: Some(LoginPolicy::Multi),
        };
        let (_, key) = parts.admin.create(app(), "test", &wish).await.unwrap();
        let opened = store.open_lease(BOOT, leases::hash(&TOKEN)).await.unwrap();
        assert_eq!(opened, Opening::Opened);
        parts.sweep.leases.look().await.unwrap();
        Self { store, parts, key }
    }

    /// Lets the store begin another epoch, of this number. What it holds stays.
    pub(crate) fn begin_epoch(&self, number: u64) {
        *self.store.epoch.lock() = Epoch::new(number);
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.store.clock.fetch_add(u64::try_from(duration.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Logs a session in on a device of its own, with a token that lasts.
    pub(crate) async fn log_in(&self, name: &str, counter: u64, platform: Platform) -> LoggedIn {
        self.log_in_on(name, counter, platform, &format!("device{counter}")).await
    }

    pub(crate) async fn log_in_on(
        &self,
        name: &str,
        counter: u64,
        platform: Platform,
        device: &str,
    ) -> LoggedIn {
        let token = token(&self.key, &claims(name));
        self.try_log_in(caller(name, counter), platform, device, token).await.unwrap()
    }

    pub(crate) async fn try_log_in(
        &self,
        caller: Caller,
        platform: Platform,
        device: &str,
        token: String,
    ) -> Result<LoggedIn, Error> {
        let device = DeviceId::new(device).unwrap();
        let login = Login { caller, token, platform, device, resumes: None };
        self.parts.sessions.login(&login, &TraceParent::default()).await
    }

    /// Has a session live on for [`GRACE`], as one whose gateway closed the connection.
    pub(crate) async fn move_away(&self, name: &str, counter: u64) {
        let moved = |state: &UserState, now| Ok(state.on_connection_moved(session(counter), GRACE, now));
        let users = &self.parts.sessions.users;
        users.apply(app(), &user(name), &TraceParent::default(), moved).await.unwrap();
    }

    /// Reads the general status, the custom status and the version of a user.
    pub(crate) async fn status(&self, name: &str) -> (i32, String, u64) {
        let answers = self.parts.sessions.get_user_status(by(&[name.to_owned()], None)).await.unwrap();
        let (_, status, version) = &answers.statuses[0];
        (status.general as i32, status.custom.as_str().to_owned(), version.0)
    }

    /// Reads the outbox of a user's partition.
    pub(crate) async fn outbox(&self, name: &str) -> Vec<Change> {
        let partition = self.store.partitions().of(app(), Some(&user(name)));
        let entries = self.store.unpublished(partition, 1_000).await.unwrap();
        entries.into_iter().map(|entry| Change::decode(entry.bytes).unwrap()).collect()
    }

    /// Reads the timers of a user's partition.
    pub(crate) async fn timers(&self, name: &str) -> Vec<Timer> {
        let partition = self.store.partitions().of(app(), Some(&user(name)));
        self.store
            .inner
            .due(partition, TimerSet::Sessions(BOOT), Timestamp(u64::MAX), None, 1_000)
            .await
            .unwrap()
    }
}

/// The gateway of all sessions, and what its reports show.
pub(crate) const BOOT: BootId = BootId(1);
pub(crate) const TOKEN: [u8; 32] = [7; 32];

pub(crate) fn app() -> AppId {
    AppId::new(7).unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn session(counter: u64) -> SessionId {
    SessionId { boot: BOOT, counter }
}

pub(crate) fn caller(name: &str, counter: u64) -> Caller {
    Caller { app: app(), user: user(name), session: session(counter) }
}

/// Makes a query without details.
pub(crate) fn by(ids: &[String], caller: Option<UserId>) -> Query<'_> {
    Query { app: app(), ids, caller, again: false, with_details: false }
}

/// Makes a custom status that does not clear by itself.
pub(crate) fn text(op: Op, text: &str) -> Set {
    Set { op, text: text.to_owned(), clear_at: None }
}

pub(crate) fn seconds(count: u64) -> Timestamp {
    Timestamp(count * 1_000_000)
}

pub(crate) fn code<T>(result: Result<T, Error>) -> Code {
    result.err().map_or(Code::Ok, |error| error.refusal().code)
}

/// Claims of a token that lasts.
pub(crate) fn claims(name: &str) -> Value {
    json!({ "sub": name, "aud": "7", "exp": START + 1_000_000, "iat": START })
}

pub(crate) fn token(key: &str, claims: &Value) -> String {
    token_by(&Header::new(Algorithm::HS256), key, claims)
}

pub(crate) fn token_by(header: &Header, key: &str, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

pub(crate) fn settings(parts: &LoggedIn) -> Settings {
    parts.app.settings
}

/// A memory store whose clock is set, that can be away, and that moves a timer right after it was seen due.
pub(crate) struct Meddled {
    pub(crate) inner: MemoryStore,
    pub(crate) clock: Arc<AtomicU64>,
    /// Nothing is answered.
    pub(crate) away: AtomicBool,
    /// How many times records were read.
    pub(crate) reads: AtomicU64,
    /// No commit of a user is answered.
    pub(crate) read_only: AtomicBool,
    /// The next commit of a user is not answered, and another one puts the record back that was before it.
    pub(crate) put_back: AtomicBool,
    /// The epoch, once another one has begun.
    pub(crate) epoch: Mutex<Option<Epoch>>,
    /// The epoch that begins while the time is read next.
    pub(crate) next_epoch: Mutex<Option<Epoch>>,
    /// Touched once when a page of timers was read.
    pub(crate) touched_after_due: Mutex<Option<Timer>>,
}

impl Meddled {
    fn new() -> Self {
        let clock = Arc::new(AtomicU64::new(seconds(START).0));
        let read = Arc::clone(&clock);
        let now = move || Timestamp(read.load(Ordering::SeqCst));
        Self {
            inner: MemoryStore::new(Partitions::EMBEDDED, Arc::new(now)),
            clock,
            away: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            read_only: AtomicBool::new(false),
            put_back: AtomicBool::new(false),
            epoch: Mutex::default(),
            next_epoch: Mutex::default(),
            touched_after_due: Mutex::new(None),
        }
    }

    async fn put_back(&self, commit: Commit) -> Result<Outcome, port::Error> {
        let before = self.inner.get(&[commit.key]).await?.remove(0).unwrap();
        let outcome = self.inner.commit(commit.clone()).await?;
        let Outcome::Committed(committed) = outcome else { panic!("{outcome:?}") };
        let (expected, write) = (Some(committed.record), port::Write::Put(before.value));
        let other = Commit { expected, write, not_after: None, timers: Vec::new(), entry: None, ..commit };
        assert!(matches!(self.inner.commit(other).await?, Outcome::Committed(_)));
        Err(port::Error::Unavailable("on purpose".to_owned()))
    }

    fn answers(&self) -> Result<(), port::Error> {
        let away = self.away.load(Ordering::SeqCst);
        if away { Err(port::Error::Unavailable("on purpose".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Meddled {
    fn partitions(&self) -> Partitions {
        self.inner.partitions()
    }

    async fn now(&self) -> Result<Timestamp, port::Error> {
        self.answers()?;
        if let Some(next) = self.next_epoch.lock().take() {
            *self.epoch.lock() = Some(next);
        }
        self.inner.now().await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, port::Error> {
        self.answers()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.get(keys).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, port::Error> {
        self.answers()?;
        if self.read_only.load(Ordering::SeqCst) && matches!(commit.key, Key::User(..)) {
            return Err(port::Error::Unavailable("on purpose".to_owned()));
        }
        if matches!(commit.key, Key::User(..)) && self.put_back.swap(false, Ordering::SeqCst) {
            return self.put_back(commit).await;
        }
        self.inner.commit(commit).await
    }

    async fn touch(&self, partition: Partition, timers: &[Timer]) -> Result<Vec<TimerId>, port::Error> {
        self.answers()?;
        self.inner.touch(partition, timers).await
    }

    async fn due(
        &self,
        partition: Partition,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, port::Error> {
        self.answers()?;
        let due = self.inner.due(partition, set, until, after, limit).await?;
        let is_page = limit > 1 && !due.is_empty();
        let touched = if is_page { self.touched_after_due.lock().take() } else { None };
        if let Some(timer) = touched {
            self.inner.touch(partition, &[timer]).await?;
        }
        Ok(due)
    }

    async fn unpublished(&self, partition: Partition, limit: usize) -> Result<Vec<Entry>, port::Error> {
        self.answers()?;
        self.inner.unpublished(partition, limit).await
    }

    async fn published(&self, partition: Partition, sequences: &[u64]) -> Result<(), port::Error> {
        self.answers()?;
        self.inner.published(partition, sequences).await
    }

    async fn heads(&self) -> Result<port::Heads, port::Error> {
        self.answers()?;
        Ok(port::Heads { epoch: self.epoch(), ..self.inner.heads().await? })
    }

    fn epoch(&self) -> Epoch {
        self.epoch.lock().unwrap_or_else(|| self.inner.epoch())
    }

    async fn open_lease(&self, boot: BootId, token: TokenHash) -> Result<Opening, port::Error> {
        self.answers()?;
        self.inner.open_lease(boot, token).await
    }

    async fn renew_lease(
        &self,
        boot: BootId,
        token: TokenHash,
        nonce: Nonce,
    ) -> Result<Renewal, port::Error> {
        self.answers()?;
        self.inner.renew_lease(boot, token, nonce).await
    }

    async fn retire_lease(&self, boot: BootId, token: TokenHash) -> Result<bool, port::Error> {
        self.answers()?;
        self.inner.retire_lease(boot, token).await
    }

    async fn leases(&self) -> Result<Vec<Lease>, port::Error> {
        self.answers()?;
        self.inner.leases().await
    }

    async fn kill_lease(&self, boot: BootId, nonce: Nonce) -> Result<bool, port::Error> {
        self.answers()?;
        self.inner.kill_lease(boot, nonce).await
    }

    async fn forget_lease(&self, boot: BootId) -> Result<bool, port::Error> {
        self.answers()?;
        self.inner.forget_lease(boot).await
    }

    async fn window(&self, window: &Window, limit: u32, span: Duration) -> Result<Admission, port::Error> {
        self.answers()?;
        self.inner.window(window, limit, span).await
    }
}
