//! Tests of lost replies, over a memory store that loses them on purpose.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use parking_lot::Mutex;
use rollcall_domain::{
    code::Code,
    epoch::Epoch,
    id::{BootId, Op},
    status::{CustomStatus, RecordVersion},
    user::{Decision, UserState},
};
use rollcall_proto::trace::TraceParent;
use rollcall_store::{
    Commit, MemoryStore, Outcome, Partition, Partitions,
    port::{
        Admission, Entry, Heads, Lease, Nonce, Opening, Renewal, Timer, TimerId, TimerSet, TokenHash, Window,
    },
};

use super::*;
use crate::{
    Applied, Call, Error, Publisher, Users, codec,
    fixture::{BreakableBus, app, login, session, user},
};

/// How many µs later the store's clock is at each reading. So few that waiting for it takes no time.
const TICK: u64 = 1_000;

/// The last moment of the calls: at the fifth reading of the clock it has not passed, at the sixth it has.
const LAST: Timestamp = Timestamp(5 * TICK);

#[tokio::test(start_paused = true)]
async fn a_commit_whose_reply_was_lost_is_told_as_applied() {
    let (store, users) = losing([Loss::Reply]);

    let applied = log_in(&users, 1, Some(LAST)).await.unwrap();

    let record = store.record().await.unwrap();
    assert_eq!((applied.record_version, applied.status_version), (record.version, record.status));
    assert_eq!(applied.state.sessions[&session(1)].order, Some(record.version));
    assert_eq!(store.entries().await, 1, "the entry is left to the relay");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_lost_on_its_way_is_late_once_its_last_moment_has_passed() {
    let (store, users) = losing([Loss::Commit]);

    let error = log_in(&users, 1, Some(LAST)).await.unwrap_err();

    assert!(matches!(error, Error::Late), "{error}");
    assert_eq!(error.refusal().code, Code::Timeout);
    assert!(store.time() > LAST);
    assert_eq!(store.record().await, None);
    store.land().await;
    assert_eq!(store.record().await, None, "the call takes no effect later");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_lands_while_it_is_looked_for_is_told_as_applied() {
    // The last one lands at the last moment, while the clock is read that shows a later one.
    for landing in 2..=6 {
        let (store, users) = losing([Loss::Until(Timestamp(landing * TICK))]);

        let applied = log_in(&users, 1, Some(LAST)).await.unwrap();

        assert_eq!(applied.record_version, store.record().await.unwrap().version);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_that_another_has_overtaken_is_not_known_and_not_waited_for() {
    for loss in [Loss::ReplyThenOvertaken, Loss::CommitThenOvertaken] {
        let (store, users) = losing([loss]);

        let error = log_in(&users, 1, Some(LAST)).await.unwrap_err();

        assert!(matches!(error, Error::Store(_)), "{error}");
        assert!(store.time() < LAST);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_that_another_has_overtaken_is_decided_anew_if_it_leaves_a_mark() {
    for (loss, commits) in [(Loss::ReplyThenOvertaken, 2), (Loss::CommitThenOvertaken, 3)] {
        let (store, users) = losing([Loss::Nothing, loss, Loss::Nothing]);
        log_in(&users, 1, None).await.unwrap();
        let trace = TraceParent::default();
        let call = Call { not_after: Some(LAST), leaves_mark: true, ..Call::from(&trace) };
        let busy = CustomStatus::new("busy").unwrap();
        let set = |state: &UserState, now| state.on_set_custom(session(1), Op(1), busy.clone(), None, now);

        let applied = users.apply(app(), &user("alice"), call, set).await.unwrap();

        assert_eq!(applied.record_version, store.record().await.unwrap().version);
        assert_eq!(applied.state.custom, busy);
        assert_eq!(applied.state.sessions.len(), 2, "what the other one stored is kept");
        assert_eq!(3 - store.losses.lock().len(), commits, "it is made once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_that_leaves_the_value_as_it_was_is_not_known() {
    let (store, users) = losing([Loss::Nothing, Loss::Nothing, Loss::Reply]);
    log_in(&users, 1, None).await.unwrap();
    let trace = TraceParent::default();
    let same = |state: &UserState, _now| {
        Ok(Some(Decision {
            state: state.clone(),
            timers: Vec::new(),
            change: None,
            floor: RecordVersion(0),
            ended: Vec::new(),
        }))
    };
    // The first one writes the order of the login.
    users.apply(app(), &user("alice"), &trace, same).await.unwrap();

    let call = Call { not_after: Some(LAST), ..Call::from(&trace) };
    let error = users.apply(app(), &user("alice"), call, same).await.unwrap_err();

    assert!(matches!(error, Error::Store(_)), "{error}");
    assert!(store.time() < LAST);
}

#[tokio::test(start_paused = true)]
async fn without_a_last_moment_a_lost_reply_leaves_the_outcome_unknown() {
    let (store, users) = losing([Loss::Reply]);

    let error = log_in(&users, 1, None).await.unwrap_err();

    assert!(matches!(error, Error::Store(_)), "{error}");
    assert_eq!(error.refusal().code, Code::ServerTimeout);
    assert!(store.record().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_and_a_last_moment_without_end_are_not_waited_for_without_end() {
    let (_, users) = losing([Loss::Everything]);
    let error = log_in(&users, 1, Some(LAST)).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");

    let (_, users) = losing([Loss::Commit]);
    let error = log_in(&users, 1, Some(Timestamp(u64::MAX))).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_last_moment_has_passed_changes_nothing() {
    let (store, users) = losing([Loss::Nothing]);

    let error = log_in(&users, 1, Some(Timestamp(0))).await.unwrap_err();

    assert!(matches!(error, Error::Late), "{error}");
    assert_eq!((store.record().await, store.entries().await), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_in_time_is_not_held_up() {
    let (store, users) = losing([Loss::Nothing]);

    log_in(&users, 1, Some(LAST)).await.unwrap();

    assert_eq!(store.time(), Timestamp(TICK), "the clock is read once");
}

async fn log_in(users: &Users, counter: u64, not_after: Option<Timestamp>) -> Result<Applied, Error> {
    let trace = TraceParent::default();
    let call = Call { not_after, ..Call::from(&trace) };
    users.apply(app(), &user("alice"), call, |state, now| Ok(login(state, counter, now))).await
}

/// Makes a store that loses what it is told of its commits, in turn, and users over it.
fn losing(losses: impl Into<VecDeque<Loss>>) -> (Arc<Losing>, Users) {
    let clock = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&clock);
    let now = move || Timestamp(read.load(Ordering::SeqCst));
    let store = Arc::new(Losing {
        inner: MemoryStore::new(Partitions::EMBEDDED, Arc::new(now)),
        clock,
        losses: Mutex::new(losses.into()),
        under_way: Mutex::default(),
        away: Mutex::new(false),
    });
    let (publisher, _publishing) = Publisher::new(store.clone(), Arc::new(BreakableBus::default()));
    (store.clone(), Users::new(store, publisher))
}

/// What is lost of one commit.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// Nothing.
    Nothing,
    /// The reply; the commit is applied.
    Reply,
    /// The reply; the commit is applied, and another one after it.
    ReplyThenOvertaken,
    /// The commit, until the test lets it land.
    Commit,
    /// The commit, until the clock is read for the last time before it shows this.
    Until(Timestamp),
    /// The commit, and another one is applied.
    CommitThenOvertaken,
    /// The commit, and all that is asked after it.
    Everything,
}

/// A memory store that loses commits and replies, and whose clock goes on with each reading.
struct Losing {
    inner: MemoryStore,
    clock: Arc<AtomicU64>,
    losses: Mutex<VecDeque<Loss>>,
    /// A commit, and when it lands by itself.
    under_way: Mutex<Option<(Commit, Timestamp)>>,
    away: Mutex<bool>,
}

impl Losing {
    fn time(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    async fn record(&self) -> Option<Record> {
        self.inner.get(&[Key::User(app(), user("alice"))]).await.unwrap().remove(0)
    }

    async fn entries(&self) -> usize {
        let partition = Partitions::EMBEDDED.of(app(), Some(&user("alice")));
        self.inner.unpublished(partition, 100).await.unwrap().len()
    }

    /// Lets the commit land that is under way.
    async fn land(&self) {
        let landing = self.under_way.lock().take();
        if let Some((commit, _)) = landing {
            self.inner.commit(commit).await.unwrap();
        }
    }

    /// Has another session log in.
    async fn overtake(&self, commit: Commit) {
        let record = self.record().await;
        let expected = record.as_ref().map(|record| record.version);
        let state = record.map(|record| codec::user::decode(record.value, record.version).unwrap());
        let login = login(&state.unwrap_or_default(), 9, self.time()).unwrap();
        let write = rollcall_store::port::Write::Put(codec::user::encode(&login.state));
        let other = Commit { expected, write, not_after: None, ..commit };
        let outcome = self.inner.commit(other).await.unwrap();
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    }

    fn lost<T>() -> Result<T, StoreError> {
        Err(StoreError::Unavailable("on purpose".to_owned()))
    }
}

#[async_trait]
impl Store for Losing {
    fn partitions(&self) -> Partitions {
        self.inner.partitions()
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        if *self.away.lock() {
            return Self::lost();
        }
        let next = Timestamp(self.time().0 + TICK);
        let lands = self.under_way.lock().as_ref().is_some_and(|(_, landing)| *landing <= next);
        if lands {
            self.land().await;
        }
        self.clock.store(next.0, Ordering::SeqCst);
        Ok(next)
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        if *self.away.lock() { Self::lost() } else { self.inner.get(keys).await }
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let loss = self.losses.lock().pop_front().expect("the test says what becomes of each commit");
        match loss {
            Loss::Nothing => return self.inner.commit(commit).await,
            Loss::Reply => drop(self.inner.commit(commit).await),
            Loss::ReplyThenOvertaken => {
                self.inner.commit(commit.clone()).await?;
                self.overtake(commit).await;
            }
            Loss::Commit => *self.under_way.lock() = Some((commit, Timestamp(u64::MAX))),
            Loss::Until(landing) => *self.under_way.lock() = Some((commit, landing)),
            Loss::CommitThenOvertaken => self.overtake(commit).await,
            Loss::Everything => *self.away.lock() = true,
        }
        Self::lost()
    }

    async fn touch(&self, partition: Partition, timers: &[Timer]) -> Result<Vec<TimerId>, StoreError> {
        self.inner.touch(partition, timers).await
    }

    async fn due(
        &self,
        partition: Partition,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, StoreError> {
        self.inner.due(partition, set, until, after, limit).await
    }

    async fn unpublished(&self, partition: Partition, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.unpublished(partition, limit).await
    }

    async fn published(&self, partition: Partition, sequences: &[u64]) -> Result<(), StoreError> {
        self.inner.published(partition, sequences).await
    }

    async fn heads(&self) -> Result<Heads, StoreError> {
        self.inner.heads().await
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    async fn open_lease(&self, _: BootId, _: TokenHash) -> Result<Opening, StoreError> {
        Self::lost()
    }

    async fn renew_lease(&self, _: BootId, _: TokenHash, _: Nonce) -> Result<Renewal, StoreError> {
        Self::lost()
    }

    async fn retire_lease(&self, _: BootId, _: TokenHash) -> Result<bool, StoreError> {
        Self::lost()
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        Self::lost()
    }

    async fn kill_lease(&self, _: BootId, _: Nonce) -> Result<bool, StoreError> {
        Self::lost()
    }

    async fn forget_lease(&self, _: BootId) -> Result<bool, StoreError> {
        Self::lost()
    }

    async fn window(&self, _: &Window, _: u32, _: Duration) -> Result<Admission, StoreError> {
        Self::lost()
    }
}
