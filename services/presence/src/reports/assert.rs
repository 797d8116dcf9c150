//! Holds sessions again whose gateway has their connections: presence ended them, or lost them, or knows them by
//! the boot that its gateway had before (DESIGN section 4).

use std::time::Duration;

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
    gateway::v1::{self as wire, AssertedSession, EndedConnection},
    trace::TraceParent,
};
use rollcall_records::Error;
use tracing::{error, info};

use super::{Failure, Reports, USERS_AT_ONCE, UserKey, raise::is_given, read, reference};

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
        let (mut superseded, mut put_back) = (Vec::new(), 0);
        while let Some(held) = held.next().await {
            let held = held?;
            superseded.extend(held.over);
            put_back += usize::from(held.put_back);
        }
        if sessions > 0 {
            info!(sessions, superseded = superseded.len(), sets_put_back = put_back, "held sessions again");
        }
        Ok(superseded)
    }

    async fn hold(&self, assert: Assert, trace: &TraceParent) -> Result<Held, Failure> {
        let Assert { user: (app, user), mut assertion, age } = assert;
        let session = assertion.session;
        let (mut over, mut put_back) = (None, false);
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
        Ok(Held { over, put_back })
    }
}

/// What became of a session whose connection is open.
struct Held {
    /// That it is over for its client, if so.
    over: Option<EndedConnection>,
    /// Whether its last set had been lost.
    put_back: bool,
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
