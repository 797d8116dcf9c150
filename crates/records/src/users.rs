//! The records of users: the rules' decisions, committed and told.

use std::sync::Arc;

use rollcall_domain::{
    code::Refusal,
    id::{AppId, SessionId, UserId},
    status::{RecordVersion, StatusVersion},
    time::Timestamp,
    user::{self, Change, Decision, EndReason, UserState},
};
use rollcall_proto::trace::TraceParent;
use rollcall_store::{
    Key, Record, Store,
    port::{Timer, TimerChange, TimerId, TimerKind},
};

use crate::{
    call::Call,
    codec,
    commit::{self, Done, Plan},
    error::Error,
    event,
    publisher::Publisher,
};

/// Reads and changes the records of users. Clones are cheap and the same.
#[derive(Clone)]
pub struct Users {
    store: Arc<dyn Store>,
    publisher: Publisher,
}

/// A user after a decision, or as found where there was nothing to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The state, with every login order known.
    pub state: UserState,
    /// The version of the status.
    pub status_version: StatusVersion,
    /// The version of the record; 0 for a user without one.
    pub record_version: RecordVersion,
    /// What was changed and told; `None` when nothing, or bookkeeping only.
    pub changed: Option<Change>,
    /// The sessions that were ended by a decision of ours, with the reason.
    pub ended: Vec<(SessionId, EndReason)>,
}

impl Users {
    /// Makes it of a store and of the publisher of what commits have to tell.
    pub fn new(store: Arc<dyn Store>, publisher: Publisher) -> Self {
        Self { store, publisher }
    }

    /// Lets `decide` make a decision upon a user's state and the store's time, and commits it with its timers
    /// and its outbox entry. `decide` is called again when another commit came between.
    pub async fn apply<'a>(
        &self,
        app: AppId,
        user: &UserId,
        call: impl Into<Call<'a>>,
        decide: impl FnMut(&UserState, Timestamp) -> Result<Option<Decision>, Refusal> + Send,
    ) -> Result<Applied, Error> {
        let applied = self.apply_guarded(app, user, call, &[], decide).await?;
        // Without guards none can refuse; an engine that says so all the same is not to be trusted with more.
        applied.ok_or(Error::Contended { attempts: 1 })
    }

    /// Does as [`Users::apply`] unless one of the timers is due later than `guards` says: then nothing is
    /// changed, and `None` is returned.
    pub async fn apply_guarded<'a>(
        &self,
        app: AppId,
        user: &UserId,
        call: impl Into<Call<'a>>,
        guards: &[Timer],
        mut decide: impl FnMut(&UserState, Timestamp) -> Result<Option<Decision>, Refusal> + Send,
    ) -> Result<Option<Applied>, Error> {
        self.decided(app, user, call.into(), guards, |state, _status, now| decide(state, now)).await
    }

    async fn decided(
        &self,
        app: AppId,
        user: &UserId,
        call: Call<'_>,
        guards: &[Timer],
        mut decide: impl FnMut(&UserState, StatusVersion, Timestamp) -> Result<Option<Decision>, Refusal> + Send,
    ) -> Result<Option<Applied>, Error> {
        let trace = call.trace;
        let key = Key::User(app, *user);
        let decide = |record: Option<Record>, now| {
            let status = record.as_ref().map(|record| record.status).unwrap_or_default();
            let state = decode(record)?;
            let Some(decision) = decide(&state, status, now)? else {
                return Ok(((state, None, Vec::new()), None));
            };
            let plan = plan(app, user, trace, guards, &decision);
            Ok(((decision.state, decision.change, decision.ended), Some(plan)))
        };
        let ((mut state, changed, ended), seen, done) =
            commit::commit(&*self.store, key, call, decide).await?;
        let (record_version, status_version) = match done {
            Done::Guarded => return Ok(None),
            Done::Kept => (seen.record, seen.status),
            Done::Committed(committed) => {
                if let Some(entry) = committed.entry {
                    self.publisher.offer(entry, trace.clone());
                }
                (committed.record, committed.status)
            }
        };
        codec::user::resolve(&mut state, record_version);
        Ok(Some(Applied { state, status_version, record_version, changed, ended }))
    }

    /// Gives a status a version above `shown`, which the store does not have any more, and nothing else; the status it
    /// has is told as a change. One that has such a version is left as it is, so twice is once. `may` is asked once the
    /// status was read, and refuses what would be changed.
    pub async fn raise<'a>(
        &self,
        app: AppId,
        user: &UserId,
        call: impl Into<Call<'a>>,
        shown: StatusVersion,
        may: impl Fn() -> Result<(), Refusal> + Send + Sync,
    ) -> Result<Applied, Error> {
        let call = call.into();
        let raise = |state: &UserState, status: StatusVersion, _now| {
            if status >= shown {
                return Ok(None);
            }
            may()?;
            Ok(Some(Decision {
                state: state.clone(),
                timers: Vec::new(),
                change: Some(Change::Status),
                floor: RecordVersion(shown.0),
                ended: Vec::new(),
            }))
        };
        let applied = self.decided(app, user, call, &[], raise).await?;
        applied.ok_or(Error::Contended { attempts: 1 })
    }

    /// Reads a user.
    pub async fn read(&self, app: AppId, user: &UserId) -> Result<UserState, Error> {
        decode(self.store.get(&[Key::User(app, *user)]).await?.into_iter().next().flatten())
    }

    /// Reads users, in their order, each with the version of its status. A record that cannot be read fails its own
    /// place only.
    pub async fn states(
        &self,
        app: AppId,
        users: &[UserId],
    ) -> Result<Vec<Result<(UserState, StatusVersion), Error>>, Error> {
        let keys: Vec<Key> = users.iter().map(|user| Key::User(app, *user)).collect();
        let records = self.store.get(&keys).await?;
        let read = |record: Option<Record>| {
            let version = record.as_ref().map(|record| record.status).unwrap_or_default();
            Ok((decode(record)?, version))
        };
        Ok(records.into_iter().map(read).collect())
    }

    /// Reads the versions of the statuses of users, in their order; 0 for a user who never had one.
    pub async fn status_versions(&self, app: AppId, users: &[UserId]) -> Result<Vec<StatusVersion>, Error> {
        let keys: Vec<Key> = users.iter().map(|user| Key::User(app, *user)).collect();
        let records = self.store.get(&keys).await?.into_iter();
        Ok(records.map(|record| record.map(|record| record.status).unwrap_or_default()).collect())
    }
}

fn decode(record: Option<Record>) -> Result<UserState, Error> {
    let Some(record) = record else { return Ok(UserState::default()) };
    codec::user::decode(record.value, record.version).map_err(Error::unreadable("user"))
}

fn plan(app: AppId, user: &UserId, trace: &TraceParent, guards: &[Timer], decision: &Decision) -> Plan {
    let id = |session| TimerId::of_session(app, *user, session);
    let clear = TimerId { app, user: *user, kind: TimerKind::Clear };
    let timers = decision.timers.iter().map(|timer| match *timer {
        user::Timer::Set(session, deadline) => TimerChange::Set(Timer { deadline, id: id(session) }),
        user::Timer::Remove(session) => TimerChange::Remove(id(session)),
        user::Timer::SetClear(deadline) => TimerChange::Set(Timer { deadline, id: clear }),
        user::Timer::RemoveClear => TimerChange::Remove(clear),
    });
    // A session that we ended is news to its gateway, whatever else has changed.
    let told = decision.change.or((!decision.ended.is_empty()).then_some(Change::Sessions));
    Plan {
        new_status: decision.change == Some(Change::Status),
        floor: decision.floor,
        timers: timers.collect(),
        guards: guards.to_vec(),
        entry: told.map(|change| event::of_user(app, user, change, &decision.state, trace)),
        ..Plan::put(codec::user::encode(&decision.state))
    }
}

#[cfg(test)]
mod tests;
