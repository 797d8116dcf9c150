//! Imports while the store goes away.

use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use rollcall_domain::{epoch::Epoch, id::BootId};
use rollcall_store::{
    Error as StoreError, Outcome, Partition, Record,
    port::{
        Admission, Entry, Heads, Lease, Nonce, Opening, Renewal, Timer, TimerId, TimerSet, TokenHash, Window,
    },
};

use super::*;

/// A memory store that is away after some commits.
struct Leaving {
    inner: MemoryStore,
    commits_left: AtomicUsize,
    /// How often it was asked while it was away.
    asked: AtomicUsize,
}

impl Leaving {
    fn away<T>() -> Result<T, StoreError> {
        Err(StoreError::Unavailable("on purpose".to_owned()))
    }
}

// SPEC I1
#[tokio::test]
async fn an_import_keeps_what_was_stored_when_the_store_went_and_does_not_try_all_the_others() {
    let fixture = Fixture::new().await;
    let inner = MemoryStore::new(Partitions::EMBEDDED, Arc::new(|| Timestamp(1_000_000)));
    let (commits_left, asked) = (AtomicUsize::new(100), AtomicUsize::new(0));
    let store = Arc::new(Leaving { inner, commits_left, asked });
    let (publisher, _publishing) =
        Publisher::new(store.clone(), Arc::new(MemoryBus::new(Clock::store_clock())));
    let lists = Lists::<FriendList>::new(store.clone(), publisher);
    let friends = Friends { lists, ..fixture.friends.clone() };

    let users = numbered(0..1_000);
    let edges = users.iter().map(|user| edge(user, "star")).collect();
    let results = friends.import(app(), edges, &TraceParent::default()).await.unwrap();

    let codes: Vec<Code> =
        results.iter().map(|result| result.as_ref().map_or_else(|r| r.code, |_| Code::Ok)).collect();
    assert_eq!(codes[..100], [Code::Ok; 100]);
    assert_eq!(codes[100..], [Code::ServerTimeout; 900]);
    // Those under way when it went, and as many as it takes to notice.
    assert!(store.asked.load(Ordering::SeqCst) <= USERS_AT_ONCE + AWAY_USERS, "{:?}", store.asked);
}

#[async_trait]
impl Store for Leaving {
    fn partitions(&self) -> Partitions {
        self.inner.partitions()
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.inner.now().await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.inner.get(keys).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let one_less = |left: usize| left.checked_sub(1);
        if self.commits_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return Self::away();
        }
        self.inner.commit(commit).await
    }

    async fn touch(&self, _: Partition, _: &[Timer]) -> Result<Vec<TimerId>, StoreError> {
        Self::away()
    }

    async fn due(
        &self,
        _: Partition,
        _: TimerSet,
        _: Timestamp,
        _: Option<Timer>,
        _: usize,
    ) -> Result<Vec<Timer>, StoreError> {
        Self::away()
    }

    async fn unpublished(&self, _: Partition, _: usize) -> Result<Vec<Entry>, StoreError> {
        Self::away()
    }

    async fn published(&self, _: Partition, _: &[u64]) -> Result<(), StoreError> {
        Self::away()
    }

    async fn heads(&self) -> Result<Heads, StoreError> {
        Self::away()
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    async fn open_lease(&self, _: BootId, _: TokenHash) -> Result<Opening, StoreError> {
        Self::away()
    }

    async fn renew_lease(&self, _: BootId, _: TokenHash, _: Nonce) -> Result<Renewal, StoreError> {
        Self::away()
    }

    async fn retire_lease(&self, _: BootId, _: TokenHash) -> Result<bool, StoreError> {
        Self::away()
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        Self::away()
    }

    async fn kill_lease(&self, _: BootId, _: Nonce) -> Result<bool, StoreError> {
        Self::away()
    }

    async fn forget_lease(&self, _: BootId) -> Result<bool, StoreError> {
        Self::away()
    }

    async fn window(&self, _: &Window, _: u32, _: Duration) -> Result<Admission, StoreError> {
        Self::away()
    }
}
