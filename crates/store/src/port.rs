//! What the services need of a store.
//!
//! Invariants every adapter holds: a commit applies whole or not at all, and never after its time; record and
//! status versions and the sequence numbers of an outbox strictly increase; only a commit creates or removes a
//! timer, and [`Store::touch`] only moves one later; a dead lease never lives again.

mod lease;
mod window;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rollcall_domain::{
    epoch::Epoch,
    id::{AppId, BootId, SessionId, UserId},
    status::{RecordVersion, StatusVersion},
    time::Timestamp,
};

pub use self::{
    lease::{LEASES_MAX, Lease, Nonce, Opening, Renewal, Standing, TokenHash},
    window::{Admission, Kind as WindowKind, Window},
};
use crate::partition::{Partition, Partitions};

/// Says why the store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached, or did not answer in time; whether a commit was applied is not known.
    #[error("store is unavailable: {0}")]
    Unavailable(String),
}

/// Names a record. All records and timers of a user are in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The state of a user.
    User(AppId, UserId),
    /// The subscription list of a user.
    Subscriptions(AppId, UserId),
    /// The friends of a user.
    Friends(AppId, UserId),
    /// The configuration of an app.
    App(AppId),
    /// An entry of the audit log of an app, by its place in the ring of those.
    Audit(AppId, u16),
}

impl Key {
    /// Finds the partition of the record.
    pub fn partition(&self, partitions: Partitions) -> Partition {
        match self {
            Self::User(app, user) | Self::Subscriptions(app, user) | Self::Friends(app, user) => {
                partitions.of(*app, Some(user))
            }
            Self::App(app) | Self::Audit(app, _) => partitions.of(*app, None),
        }
    }
}

/// A stored record: two versions, which the store computes, and bytes, which it does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Strictly increases with every commit of the key.
    pub version: RecordVersion,
    /// The record version of the last commit with [`Commit::new_status`]; 0 for none.
    pub status: StatusVersion,
    /// What the service wrote.
    pub value: Bytes,
}

/// Names a timer of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    /// The app of the user.
    pub app: AppId,
    /// The user.
    pub user: UserId,
    /// Which of the user's timers.
    pub kind: TimerKind,
}

/// What is to happen when a timer is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// The session expires.
    Session(SessionId),
    /// The custom status clears (SPEC B6).
    Clear,
    /// The subscription list goes (SPEC D5).
    Idle,
}

/// Timers of a partition that are listed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerSet {
    /// Those of one boot's sessions.
    Sessions(BootId),
    /// Those of custom statuses, of all users.
    Clear,
    /// Those of subscription lists, of all users.
    Idle,
}

impl TimerId {
    /// Names the timer of a session.
    pub const fn of_session(app: AppId, user: UserId, session: SessionId) -> Self {
        Self { app, user, kind: TimerKind::Session(session) }
    }

    /// Returns the session whose timer it is, if it is one's.
    pub const fn session(&self) -> Option<SessionId> {
        match self.kind {
            TimerKind::Session(session) => Some(session),
            TimerKind::Clear | TimerKind::Idle => None,
        }
    }

    /// Returns the set that the timer is in.
    pub const fn set(&self) -> TimerSet {
        match self.kind {
            TimerKind::Session(session) => TimerSet::Sessions(session.boot),
            TimerKind::Clear => TimerSet::Clear,
            TimerKind::Idle => TimerSet::Idle,
        }
    }
}

/// A timer with its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is due.
    pub deadline: Timestamp,
    /// Whose it is.
    pub id: TimerId,
}

/// What a commit does to a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerChange {
    /// Creates the timer, or moves it, earlier or later.
    Set(Timer),
    /// Removes the timer if there is one.
    Remove(TimerId),
}

/// What becomes of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The record gets this value.
    Put(Bytes),
    /// The record goes; its versions begin anew above those it had.
    Delete,
}

/// One atomic step: check time, version and guards, then write the record, move timers, append to the outbox.
///
/// The checks come in this order, and the first that fails is the outcome: [`Outcome::Late`], which stays true
/// whatever becomes of the record, so that who gave up learns that, and nothing that invites another try; then
/// [`Outcome::Conflict`], then [`Outcome::Guarded`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The record.
    pub key: Key,
    /// The version that the record must have; `None` when it must not exist.
    pub expected: Option<RecordVersion>,
    /// What becomes of it.
    pub write: Write,
    /// Whether the status gets a new version: that of the record which this commit writes.
    pub new_status: bool,
    /// A version that the store may have lost: the one that this commit is given is above it. 0 for none.
    pub floor: RecordVersion,
    /// The last moment, by the store's clock, at which this may be applied; a commit that comes later is
    /// [`Outcome::Late`]. `None` for one that is never too late.
    pub not_after: Option<Timestamp>,
    /// What becomes of timers, in this order; all are of the key's partition.
    pub timers: Vec<TimerChange>,
    /// Timers that must not be due later than this, or the commit is [`Outcome::Guarded`]. A timer that is
    /// gone holds no guard.
    pub guards: Vec<Timer>,
    /// What the outbox tells; the store puts an [`EntryHead`] before it.
    pub entry: Option<Bytes>,
}

/// What a commit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is applied.
    Committed(Committed),
    /// It came after [`Commit::not_after`]; nothing was changed, and no copy of it that is still under way will
    /// change anything.
    Late,
    /// It came in time, but the record does not have the expected version; nothing was changed.
    Conflict,
    /// The record has the expected version, but a guarded timer is due later; nothing was changed.
    Guarded,
}

/// The versions that a commit was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The record's new version, `max(previous + 1, floor + 1, store time in µs)`; for a delete, the version that any
    /// later record of the key is above. A store that may lose versions adds a little while its clock is behind those.
    pub record: RecordVersion,
    /// The status version after the commit.
    pub status: StatusVersion,
    /// The outbox entry, if the commit had one.
    pub entry: Option<Entry>,
}

/// An outbox entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The partition of its outbox.
    pub partition: Partition,
    /// Its place there, from 1, without holes.
    pub sequence: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// The head, [`EntryHead::LENGTH`] bytes, and after it what the service wrote.
    pub bytes: Bytes,
}

/// The fixed head of an outbox entry.
///
/// It is written so that head and body together are one protobuf message `rollcall.event.v1.Change`: four
/// fields of type fixed64, numbers 1 to 4, each one tag byte and eight little-endian bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// The entry's place in its outbox.
    pub sequence: u64,
    /// The version of the record that the commit wrote.
    pub record: RecordVersion,
    /// The status version after the commit.
    pub status: StatusVersion,
    /// The status version before the commit.
    pub previous_status: StatusVersion,
}

impl EntryHead {
    /// The length of an encoded head in bytes.
    pub const LENGTH: usize = 36;

    /// Writes the head.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let fields = [self.sequence, self.record.0, self.status.0, self.previous_status.0];
        let mut bytes = [0; Self::LENGTH];
        for ((slot, tag), value) in bytes.chunks_exact_mut(9).zip([0x09, 0x11, 0x19, 0x21]).zip(fields) {
            slot[0] = tag;
            slot[1..].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }
}

/// Up to where the outboxes go, and in which epoch of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    /// The epoch in which they were read.
    pub epoch: Epoch,
    /// The sequence of the last entry of each partition, in the order of the partitions; 0 for none.
    pub sequences: Vec<u64>,
}

/// The greatest number of unpublished entries in a partition's outbox. Beyond it the oldest go: the hole in
/// the sequence tells readers. A commit is never refused for a full outbox.
pub const OUTBOX_MAX: usize = 100_000;

/// A partitioned record store with compare-and-set, timers, an outbox, the leases of gateways, and the windows of
/// calls.
///
/// A partition that the store does not have is as an empty one.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Returns how many partitions the store has.
    fn partitions(&self) -> Partitions;

    /// Reads the store's clock. Every `now` of a rule is this one.
    async fn now(&self) -> Result<Timestamp, Error>;

    /// Reads records, in the order of the keys; `None` for one that does not exist.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error>;

    /// Reads the versions of records, in the order of the keys; 0 for one that does not exist. An engine that is far away
    /// does not have their values sent.
    async fn versions(&self, keys: &[Key]) -> Result<Vec<RecordVersion>, Error> {
        let records = self.get(keys).await?.into_iter();
        Ok(records.map(|record| record.map(|record| record.version).unwrap_or_default()).collect())
    }

    /// Applies a commit whole, or not at all.
    async fn commit(&self, commit: Commit) -> Result<Outcome, Error>;

    /// Moves timers of one partition later, never earlier; creates none. Returns those that do not exist, in
    /// the order they were given.
    async fn touch(&self, partition: Partition, timers: &[Timer]) -> Result<Vec<TimerId>, Error>;

    /// Lists timers of one set that are due at `until` or before, earliest first, those after
    /// `after` only, at most `limit`. Timers of one deadline come in an order of the store's own, which stays
    /// the same; `after` itself may be gone.
    async fn due(
        &self,
        partition: Partition,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, Error>;

    /// Lists entries of a partition's outbox that are not yet published, in order, at most `limit`.
    async fn unpublished(&self, partition: Partition, limit: usize) -> Result<Vec<Entry>, Error>;

    /// Forgets entries of a partition's outbox that were published; unknown ones are no error.
    async fn published(&self, partition: Partition, sequences: &[u64]) -> Result<(), Error>;

    /// Reads up to where the outboxes go, and in which epoch of the store.
    async fn heads(&self) -> Result<Heads, Error>;

    /// Returns the epoch of the store that calls go to, as far as it is known without asking: a store whose connection was
    /// made anew knows it before any call goes over that one, and all else is known after [`heads`](Self::heads).
    fn epoch(&self) -> Epoch;

    /// Opens the lease of a new boot, live and without a nonce. Its id is one that was never drawn before: the
    /// store knows a boot only as long as its lease.
    async fn open_lease(&self, boot: BootId, token: TokenHash) -> Result<Opening, Error>;

    /// Writes the nonce of a report into the lease of a live boot; with the nonce that it has, nothing changes.
    async fn renew_lease(&self, boot: BootId, token: TokenHash, nonce: Nonce) -> Result<Renewal, Error>;

    /// Retires a boot's own lease. False, and nothing is changed, if the token is not that of the lease; one that is
    /// not live any more, or not known, is no error.
    async fn retire_lease(&self, boot: BootId, token: TokenHash) -> Result<bool, Error>;

    /// Lists all leases, live or not, in the order of the boots.
    async fn leases(&self) -> Result<Vec<Lease>, Error>;

    /// Kills a lease if it is live and its nonce is still this one, and says whether it did.
    async fn kill_lease(&self, boot: BootId, nonce: Nonce) -> Result<bool, Error>;

    /// Forgets a lease if it is not live, and says whether it did. The timers of its boot are found by nobody then:
    /// there must be none left, nor a commit under way that makes one.
    async fn forget_lease(&self, boot: BootId) -> Result<bool, Error>;

    /// Allows a call and counts it, or says when one would be allowed: at most `limit` in any `span`, which is exact
    /// to the microsecond and at most a day. A limit of 0 allows nothing.
    async fn window(&self, window: &Window, limit: u32, span: Duration) -> Result<Admission, Error>;
}
