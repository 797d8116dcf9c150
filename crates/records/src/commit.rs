//! The loop of read, decide and commit: a decision counts only upon the version that it was made upon.

use bytes::Bytes;
use rollcall_domain::{
    status::{RecordVersion, StatusVersion},
    time::Timestamp,
};
use rollcall_store::{
    Commit, Committed, Key, Outcome, Record, Store,
    port::{Timer, TimerChange, Write},
};

use crate::{
    call::Call,
    error::Error,
    lost::{Fate, Sent},
};

/// How often a commit is tried. Each failed try means that another one's commit succeeded; this is more than a
/// user has sessions, and each session runs one command at a time.
pub(crate) const ATTEMPTS: u32 = 40;

/// What to commit.
pub(crate) struct Plan {
    /// The record's new value.
    pub(crate) value: Bytes,
    /// Whether the status gets a new version.
    pub(crate) new_status: bool,
    /// A version that the new one is above.
    pub(crate) floor: RecordVersion,
    /// What becomes of timers.
    pub(crate) timers: Vec<TimerChange>,
    /// Timers that must not be due later than this.
    pub(crate) guards: Vec<Timer>,
    /// What the outbox tells.
    pub(crate) entry: Option<Bytes>,
}

impl Plan {
    /// Makes a plan that writes the record and does nothing else.
    pub(crate) fn put(value: Bytes) -> Self {
        Self {
            value,
            new_status: false,
            floor: RecordVersion::default(),
            timers: Vec::new(),
            guards: Vec::new(),
            entry: None,
        }
    }
}

/// The versions of a record; zeros for one that does not exist.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Versions {
    pub(crate) record: RecordVersion,
    pub(crate) status: StatusVersion,
}

/// How it went.
pub(crate) enum Done {
    /// There was nothing to commit.
    Kept,
    /// It is committed.
    Committed(Committed),
    /// A guarded timer was due later; nothing was changed.
    Guarded,
}

/// Reads the record, lets `decide` make a plan or none, and commits it; begins anew when another commit came
/// between. Returns what `decide` returned, the versions that it saw, and how it went.
///
/// After the call's last moment nothing is applied any more ([`Error::Late`]). Where there is one, what became of a
/// commit to which the store did not reply is looked for; without, it is not known.
pub(crate) async fn commit<T>(
    store: &dyn Store,
    key: Key,
    call: Call<'_>,
    mut decide: impl FnMut(Option<Record>, Timestamp) -> Result<(T, Option<Plan>), Error> + Send,
) -> Result<(T, Versions, Done), Error> {
    let Call { not_after, leaves_mark, .. } = call;
    for _ in 0..ATTEMPTS {
        let keys = [key];
        let (records, now) = tokio::try_join!(store.get(&keys), store.now())?;
        let record = records.into_iter().next().flatten();
        let before = record.clone();
        let versions =
            before.as_ref().map(|record| Versions { record: record.version, status: record.status });
        let seen = versions.unwrap_or_default();
        let (value, plan) = decide(record, now)?;
        let Some(plan) = plan else { return Ok((value, seen, Done::Kept)) };
        let sent = Sent { key, before, value: plan.value.clone(), at: now };
        let commit = Commit {
            key,
            expected: versions.map(|versions| versions.record),
            write: Write::Put(plan.value),
            new_status: plan.new_status,
            floor: plan.floor,
            not_after,
            timers: plan.timers,
            guards: plan.guards,
            entry: plan.entry,
        };
        let committed = match (store.commit(commit).await, not_after) {
            (Ok(Outcome::Committed(committed)), _) => committed,
            (Ok(Outcome::Late), _) => return Err(Error::Late),
            (Ok(Outcome::Conflict), _) => continue,
            (Ok(Outcome::Guarded), _) => return Ok((value, seen, Done::Guarded)),
            (Err(lost), Some(last)) => match sent.settle(store, last).await {
                Fate::Applied(committed) => committed,
                Fate::Refused => return Err(Error::Late),
                Fate::Overtaken if leaves_mark => continue,
                Fate::Overtaken | Fate::UnderWay(_) => return Err(lost.into()),
            },
            (Err(lost), None) => return Err(lost.into()),
        };
        return Ok((value, seen, Done::Committed(committed)));
    }
    Err(Error::Contended { attempts: ATTEMPTS })
}
