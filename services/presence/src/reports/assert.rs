//! Holds sessions again whose gateway has their connections: presence ended them, or lost them, or knows them by
//! the boot that its gateway had before (DESIGN section 4).

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use rollcall_domain::{
    code::Refusal,
    id::{BootId, SessionId},
    status::RecordVersion,
    time::Timestamp,
    user::{EndReason, Session, UserState},
};
use rollcall_proto::{
    convert,
    gateway::v1::{AssertedSession, EndedConnection},
    trace::TraceParent,
};
use rollcall_records::Error;
use tracing::{error, info};

use super::{Failure, Reports, USERS_AT_ONCE, UserKey, read, reference};

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
        let mut superseded = Vec::new();
        while let Some(held) = held.next().await {
            superseded.extend(held?);
        }
        if sessions > 0 {
            info!(sessions, superseded = superseded.len(), "held sessions again");
        }
        Ok(superseded)
    }

    async fn hold(&self, assert: Assert, trace: &TraceParent) -> Result<Option<EndedConnection>, Failure> {
        let Assert { user: (app, user), session, former, login, age } = assert;
        let mut over = None;
        let applied = match self.apps.get(app).await {
            Ok(found) => {
                let group = found.settings.group(login.platform);
                let decide = |state: &UserState, now: Timestamp| {
                    let deadline = now.minus(age).plus(self.expiry);
                    match state.on_assert(session, former, login.clone(), group, deadline, now) {
                        Ok(decision) => Ok(decision),
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
            }
            // To assert it again would not help.
            Err(error @ (Error::Unreadable { .. } | Error::Refused(_))) => {
                error!(%error, "could not hold a session again");
                over = Some(EndReason::Timeout);
            }
            Err(error) => return Err(Failure::Assert(error)),
        }
        Ok(over.map(|reason| EndedConnection {
            session: Some(reference(app, &user, session)),
            reason: reason as i32,
        }))
    }
}

/// A session whose connection is open.
struct Assert {
    user: UserKey,
    session: SessionId,
    former: SessionId,
    login: Session,
    /// How long ago the client was heard.
    age: Duration,
}

impl Assert {
    fn read(boot: BootId, assert: &AssertedSession) -> Result<Self, Refusal> {
        let (user, session) = read(boot, assert.session.as_ref())?;
        let former_boot = if assert.former_boot == 0 { boot } else { BootId(assert.former_boot) };
        let order = RecordVersion(assert.login_order);
        let continues = Some(RecordVersion(assert.place)).filter(|place| place.0 != 0 && *place != order);
        Ok(Self {
            user,
            session,
            former: SessionId { boot: former_boot, counter: session.counter },
            // What was applied before the session was lost is not known here.
            login: Session {
                order: Some(order),
                ..Session::new(
                    convert::platform(assert.platform)?,
                    convert::device_id(&assert.device_id)?,
                    continues,
                )
            },
            age: Duration::from_millis(assert.age_ms),
        })
    }
}
