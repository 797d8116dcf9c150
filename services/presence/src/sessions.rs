//! What gateways call for their clients: login, logout, set, query.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use rollcall_domain::{
    code::{Code, Refusal},
    id::{AppId, DeviceId, Op, Platform, SessionId, UserId},
    status::{CustomStatus, RecordVersion, Status, StatusVersion},
    time::Timestamp,
    user::{EndReason, Session, UserState},
};
use rollcall_proto::convert;
use rollcall_records::{App, Apps, Call, Error, Users, Windows};
use rollcall_store::{Store, port::WindowKind};
use tracing::{debug, info};

use crate::{clears::ClearLooks, metrics::Metrics, tokens::Bearer};

/// The greatest number of ids in one query (SPEC C3). An app's own limit is the gateway's to check.
const QUERY_IDS: usize = 500;

/// Adds and ends sessions, sets and reads statuses.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) users: Users,
    pub(crate) apps: Apps,
    pub(crate) windows: Windows,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) expiry: Duration,
    pub(crate) clear_looks: ClearLooks,
    pub(crate) metrics: Metrics,
}

/// A session of a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) app: AppId,
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

/// A login. Not `Debug`: the token must not reach a log.
pub(crate) struct Login {
    pub(crate) caller: Caller,
    pub(crate) token: String,
    pub(crate) platform: Platform,
    pub(crate) device: DeviceId,
    /// The order of the login that the client continues by itself; `None` for a login of its own.
    pub(crate) resumes: Option<RecordVersion>,
}

/// A custom status to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    /// The number of the command among those of the session.
    pub(crate) op: Op,
    /// Not checked yet.
    pub(crate) text: String,
    /// When it clears by itself; `None` for never.
    pub(crate) clear_at: Option<Timestamp>,
}

/// What a login came to.
#[derive(Debug, Clone)]
pub(crate) struct LoggedIn {
    pub(crate) status: Status,
    pub(crate) version: StatusVersion,
    pub(crate) order: RecordVersion,
    /// The order of the login that the client continues.
    pub(crate) place: RecordVersion,
    /// Since which version of the record there is no custom status; `None` if there is one, or that is not known.
    pub(crate) bare_since: Option<RecordVersion>,
    pub(crate) app: Arc<App>,
    pub(crate) token_expires_at: Timestamp,
}

/// What a set came to: the status that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) status: Status,
    pub(crate) version: StatusVersion,
    /// The version of the record with the set; `None` where another one has come after it.
    pub(crate) set: Option<RecordVersion>,
}

/// What a kick by the app did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KickedUser {
    pub(crate) sessions: usize,
    pub(crate) revoked_until: Timestamp,
}

/// What more is known of a user than the status (SPEC A9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) user: UserId,
    pub(crate) platforms: BTreeSet<Platform>,
    /// When the user left ONLINE last; `None` while ONLINE, and for who never was.
    pub(crate) left_online_at: Option<Timestamp>,
}

/// A query of statuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    pub(crate) app: AppId,
    pub(crate) ids: &'a [String],
    /// The user who asks; `None` for the app's backend.
    pub(crate) caller: Option<UserId>,
    /// Whether the call was made before and not answered: then it counts against no window.
    pub(crate) again: bool,
    /// Whether details are asked for, too.
    pub(crate) with_details: bool,
}

/// The answers to a query, in order of first mention.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    pub(crate) statuses: Vec<(UserId, Status, StatusVersion)>,
    pub(crate) details: Vec<Detail>,
    pub(crate) failures: Vec<(String, Refusal)>,
}

impl Sessions {
    /// Verifies the token and adds the session, which expires unless it is heard of. Checked in the order of
    /// SPEC H1; whether the token is revoked is decided together with the login. A session that was added before is
    /// left as it is; one that a newer login has overtaken is refused with 6208 (SPEC H4).
    pub(crate) async fn login(&self, login: &Login, call: impl Into<Call<'_>>) -> Result<LoggedIn, Error> {
        let Login { caller: Caller { app: app_id, user, session }, .. } = *login;
        let app = self.apps.get(app_id).await?;
        let now = self.store.now().await?;
        let token = Bearer { app: app_id, user, now }.verify(&login.token, &app.keys)?;

        let platform = login.platform;
        let group = app.settings.group(platform);
        let applied = self
            .users
            .apply(app_id, &user, call, |state, now| {
                state.check_token(token.issued_at)?;
                let login = Session::new(platform, login.device, login.resumes);
                state.on_login(session, login, group, self.expiry, now)
            })
            .await?;
        self.metrics.decided(&applied.ended);
        debug!(%user, %platform, changed = ?applied.changed, "logged in");
        // The decision left the session in the state, and its commit gave it an order.
        let added = applied.state.sessions.get(&session);
        let order = added.and_then(|session| session.order).unwrap_or(applied.record_version);
        Ok(LoggedIn {
            status: applied.state.status(),
            version: applied.status_version,
            order,
            place: added.and_then(Session::place).unwrap_or(order),
            bare_since: applied.state.version_of_set(&CustomStatus::default(), None),
            app,
            token_expires_at: token.expires_at,
        })
    }

    /// Verifies a new token of a user who is logged in, and returns when it runs out. Checked as at login (SPEC H3).
    pub(crate) async fn refresh_token(
        &self,
        app: AppId,
        user: UserId,
        token: &str,
    ) -> Result<Timestamp, Error> {
        let keys = self.apps.get(app).await?;
        let now = self.store.now().await?;
        let token = Bearer { app, user, now }.verify(token, &keys.keys)?;
        // A kick that comes right after ends the session itself.
        self.users.read(app, &user).await?.check_token(token.issued_at)?;
        Ok(token.expires_at)
    }

    /// Ends all sessions of a user, as `who` asks, and revokes the tokens that were issued until now (SPEC H7).
    pub(crate) async fn kick(
        &self,
        app: AppId,
        user: UserId,
        who: &str,
        call: impl Into<Call<'_>>,
    ) -> Result<KickedUser, Error> {
        self.apps.get(app).await?;
        let applied = self.users.apply(app, &user, call, |state, now| Ok(Some(state.on_kick(now)))).await?;
        self.metrics.decided(&applied.ended);
        info!(app = app.get(), %user, who, sessions = applied.ended.len(), "kicked a user");
        let revoked_until = applied.state.revoked_until.unwrap_or_default();
        Ok(KickedUser { sessions: applied.ended.len(), revoked_until })
    }

    /// Ends the session by logout; one that is gone already is no error (SPEC H6).
    pub(crate) async fn logout(&self, caller: &Caller, call: impl Into<Call<'_>>) -> Result<(), Error> {
        let Caller { app, user, session } = *caller;
        // Once the session is gone there is nothing to end.
        let call = Call { leaves_mark: true, ..call.into() };
        let applied =
            self.users.apply(app, &user, call, |state, now| Ok(state.on_logout(session, now))).await?;
        self.metrics.ended(EndReason::Logout, usize::from(applied.changed.is_some()));
        debug!(%user, changed = ?applied.changed, "logged out");
        Ok(())
    }

    /// Sets the custom status of the session's user, and returns the status that is stored: that of a later command
    /// where this one is a copy, or was overtaken. A session that is not live is refused with 6014, and only then a
    /// malformed text with 6017 (SPEC K1).
    pub(crate) async fn set_self_status(
        &self,
        caller: &Caller,
        set: &Set,
        call: impl Into<Call<'_>>,
    ) -> Result<Stored, Error> {
        let Caller { app, user, session } = *caller;
        let custom = convert::custom_status(&set.text);
        let call = Call { leaves_mark: set.op != Op::NONE, ..call.into() };
        let applied = self
            .users
            .apply(app, &user, call, |state, now| {
                let wanted = custom.clone();
                let text = wanted.clone().unwrap_or_default();
                let decision = state.on_set_custom(session, set.op, text, set.clear_at, now)?;
                wanted?;
                Ok(decision)
            })
            .await?;
        if let Some(at) = applied.state.clear_at {
            self.clear_looks.note(self.store.partitions().of(app, Some(&user)), at);
        }
        debug!(%user, changed = ?applied.changed, "set a custom status");
        Ok(Stored {
            status: applied.state.status(),
            version: applied.status_version,
            set: applied.state.version_of_set(&custom.unwrap_or_default(), set.clear_at),
        })
    }

    /// Reads statuses. An id that is malformed (7003) or cannot be read is a failure of its own; if all fail,
    /// the call does (6003), and a list that is empty or too long is refused (SPEC C3, C5). A query of others by
    /// a caller counts against their window, and is refused beyond it (7008, SPEC C4). A caller is told no details of
    /// others (SPEC A9).
    pub(crate) async fn get_user_status(&self, query: Query<'_>) -> Result<Answers, Error> {
        let Query { app, ids, caller, again, with_details } = query;
        if !(1..=QUERY_IDS).contains(&ids.len()) {
            let message = format!("the list holds {} ids, expected 1 to {QUERY_IDS}", ids.len());
            return Err(Refusal::new(Code::InvalidParameter, message).into());
        }
        let limits = self.apps.get(app).await?.settings.limits;
        let mut answers = Answers::default();
        let mut seen = HashSet::with_capacity(ids.len());
        let mut users = Vec::with_capacity(ids.len());
        for id in ids.iter().filter(|id| seen.insert(id.as_str())) {
            match convert::user_id(id) {
                Ok(user) => users.push(user),
                Err(refusal) => answers.failures.push((id.clone(), refusal)),
            }
        }
        if users.is_empty() {
            return answers.unless_all_failed();
        }
        let counted = caller.filter(|_| !again);
        if let Some(caller) = counted.filter(|caller| ids.iter().any(|id| id != caller.as_str())) {
            self.windows.take(app, caller, WindowKind::Query, limits.window_calls).await?;
        }
        match self.users.states(app, &users).await {
            Ok(states) => {
                for (user, state) in users.iter().zip(states) {
                    let with_detail = with_details && caller.is_none_or(|caller| caller == *user);
                    answers.add(user, state, with_detail);
                }
            }
            Err(error) => {
                let refusal = error.refusal();
                answers.failures.extend(users.iter().map(|user| (user.to_string(), refusal.clone())));
            }
        }
        answers.unless_all_failed()
    }
}

impl Answers {
    fn add(&mut self, user: &UserId, state: Result<(UserState, StatusVersion), Error>, with_detail: bool) {
        match state {
            Ok((state, version)) => {
                self.statuses.push((*user, state.status(), version));
                if with_detail {
                    let (platforms, left_online_at) = (state.online_platforms(), state.left_online_at());
                    self.details.push(Detail { user: *user, platforms, left_online_at });
                }
            }
            Err(error) => {
                error.log();
                self.failures.push((user.to_string(), error.refusal()));
            }
        }
    }

    fn unless_all_failed(self) -> Result<Self, Error> {
        match self.failures.first() {
            Some((_, first)) if self.statuses.is_empty() => {
                let message =
                    format!("no id of the list could be served, the first because: {}", first.message);
                Err(Refusal::new(Code::BatchFailed, message).into())
            }
            _ => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests;
