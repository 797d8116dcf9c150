//! Holds sessions again whose gateway has their connections: presence ended them, or lost them, or knows them by
//! the boot that its gateway had before (DESIGN section 4).

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt as _, stream};
use rollcall_domain::{
    code::Refusal,
    id::{BootId, Op, SessionId},
    status::RecordVersion,
    time::Timestamp,
    user::{Assertion, EndReason, LastSet, Session, UserState},
};
use rollcall_proto::{
    convert,
    gateway::v1::{self as wire, AssertedSession, EndedConnection, HeardSession},
    trace::TraceParent,
};
use rollcall_records::Error;
use tracing::{error, info};

use super::{Failure, Reports, USERS_AT_ONCE, UserKey, raise::is_given, read, reference};
use crate::metrics::Differing;

impl Reports {
    /// Holds sessions again whose connections are open, and returns those that are over for their clients.
    pub(super) async fn assert(
        &self,
        boot: BootId,
        asserted: &[AssertedSession],
        trace: &TraceParent,
        malformed: &mut usize,
    ) -> Result<Vec<EndedConnection>, Failure> {
        let mut asserts = Vec::with_capacity(asserted.len());
        for assert in asserted {
            match Assert::read(boot, assert) {
                Ok(assert) => asserts.push(assert),
                Err(_) => *malformed += 1,
            }
        }
        let sessions = asserts.len();
        let held = asserts.into_iter().map(|assert| self.hold(assert, trace));
        let mut held = stream::iter(held).buffer_unordered(USERS_AT_ONCE);
        let (mut superseded, mut put_back, mut as_before) = (Vec::new(), 0, Vec::new());
        while let Some(held) = held.next().await {
            let held = held?;
            superseded.extend(held.over);
            put_back += usize::from(held.put_back);
            as_before.extend(held.as_before);
        }
        let timers = self.restore_timers(boot, &as_before, trace).await?;
        if sessions > 0 {
            let superseded = superseded.len();
            info!(
                sessions,
                superseded,
                sets_put_back = put_back,
                timers_restored = timers,
                "held sessions again"
            );
        }
        Ok(superseded)
    }

    /// Moves the timers of sessions on that were held as before, sets those that are lost, and returns how many these were.
    async fn restore_timers(
        &self,
        boot: BootId,
        heard: &[HeardSession],
        trace: &TraceParent,
    ) -> Result<usize, Failure> {
        let lost = self.touch(boot, heard, &mut 0).await?;
        let lost: BTreeSet<_> =
            lost.into_iter().map(|lost| (lost.app_id, lost.user_id, lost.counter)).collect();
        let mut restored = 0;
        for heard in heard {
            let Ok(((app, user), session)) = read(boot, heard.session.as_ref()) else { continue };
            if !lost.contains(&(app.get(), user.as_str().to_owned(), session.counter)) {
                continue;
            }
            let age = Duration::from_millis(heard.age_ms);
            let mut was_set = false;
            let decide = |state: &UserState, now: Timestamp| {
                let decision = state.on_timer_missing(session, now.minus(age).plus(self.expiry), now);
                was_set = decision.is_some();
                Ok(decision)
            };
            self.users.apply(app, &user, trace, decide).await.map_err(Failure::Assert)?;
            restored += usize::from(was_set);
        }
        self.metrics.digests.differed(Differing::TimerRestored, restored);
        Ok(restored)
    }

    async fn hold(&self, assert: Assert, trace: &TraceParent) -> Result<Held, Failure> {
        let Assert { user: (app, user), mut assertion, age } = assert;
        let session = assertion.session;
        let (mut over, mut put_back, mut as_before) = (None, false, None);
        let applied = match self.apps.get(app).await {
            Ok(found) => {
                let group = found.settings.group(assertion.login.platform);
                let decide = |state: &UserState, now: Timestamp| {
                    let deadline = now.minus(age).plus(self.expiry);
                    // What was given to nobody was not lost.
                    assertion.last_set.take_if(|set| !is_given(set.version, now));
                    match state.on_assert(&assertion, group, deadline, now) {
                        Ok(decision) => {
                            put_back = decision.as_ref().is_some_and(|decision| decision.floor.0 > 0);
                            Ok(decision)
                        }
                        Err(reason) => {
                            over = Some(reason);
                            Ok(None)
                        }
                    }
                };
                self.users.apply(app, &user, trace, decide).await
            }
            Err(error) => Err(error),
        };
        match applied {
            Ok(applied) => {
                self.metrics.asserted.inc_by(u64::from(applied.changed.is_some()));
                // One that is new here got a timer.
                if over.is_none() && applied.changed.is_none() {
                    let session = Some(reference(app, &user, session));
                    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                    as_before = Some(HeardSession { session, age_ms });
                }
                self.metrics.decided(&applied.ended);
                if put_back {
                    self.metrics.lost.put_back.inc();
                }
                if let Some(at) = applied.state.clear_at {
                    self.clear_looks.note(self.store.partitions().of(app, Some(&user)), at);
                }
            }
            // To assert it again would not help.
            Err(error @ (Error::Unreadable { .. } | Error::Refused(_))) => {
                error!(%error, "could not hold a session again");
                over = Some(EndReason::Timeout);
            }
            Err(error) => return Err(Failure::Assert(error)),
        }
        let over = over.map(|reason| EndedConnection {
            session: Some(reference(app, &user, session)),
            reason: reason as i32,
        });
        Ok(Held { over, put_back, as_before })
    }
}

/// What became of a session whose connection is open.
struct Held {
    /// That it is over for its client, if so.
    over: Option<EndedConnection>,
    /// Whether its last set had been lost.
    put_back: bool,
    /// The session, if it was held before: its timer may be lost all the same.
    as_before: Option<HeardSession>,
}

/// A session whose connection is open.
struct Assert {
    user: UserKey,
    assertion: Assertion,
    /// How long ago the client was heard.
    age: Duration,
}

impl Assert {
    fn read(boot: BootId, assert: &AssertedSession) -> Result<Self, Refusal> {
        let (user, session) = read(boot, assert.session.as_ref())?;
        let former_boot = if assert.former_boot == 0 { boot } else { BootId(assert.former_boot) };
        let order = RecordVersion(assert.login_order);
        let continues = Some(RecordVersion(assert.place)).filter(|place| place.0 != 0 && *place != order);
        let platform = convert::platform(assert.platform)?;
        let device = convert::device_id(&assert.device_id)?;
        let assertion = Assertion {
            session,
            former: SessionId { boot: former_boot, counter: session.counter },
            login: Session { order: Some(order), ..Session::new(platform, device, continues) },
            last_set: assert.last_set.as_ref().map(last_set).transpose()?,
        };
        Ok(Self { user, assertion, age: Duration::from_millis(assert.age_ms) })
    }
}

fn last_set(set: &wire::LastSet) -> Result<LastSet, Refusal> {
    Ok(LastSet {
        op: Op(set.op),
        custom: convert::custom_status(&set.custom)?,
        clear_at: convert::moment(set.clear_at),
        version: RecordVersion(set.version),
    })
}

#[cfg(test)]
mod tests;
