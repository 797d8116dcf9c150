//! Reports of gateways: who was heard moves on, who is gone ends (DESIGN section 4).
//!
//! A report is answered once all of it is stored, and else not at all: its gateway repeats it. A report twice
//! is a report once. A boot that is dead is told so, and nothing of its report is stored. The reply asks what became of
//! sessions whose deadlines have passed (`reports/ask.rs`), and for lists of sessions (`reports/digests.rs`).

mod ask;
mod assert;
mod digests;
mod raise;

use std::{collections::BTreeMap, mem::take, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use rollcall_bus::{Bus, Request, Requests, Subject};
use rollcall_domain::{
    code::{Code, Refusal},
    epoch::Epoch,
    id::{AppId, BootId, SessionId, UserId},
    user::EndReason,
};
use rollcall_proto::{
    convert,
    gateway::v1::{AppVersion, EndedConnection, HeardSession, ReportRequest, ReportResponse, SessionRef},
    trace::TraceParent,
};
use rollcall_records::{Apps, Error, Users};
use rollcall_runtime::rng;
use rollcall_store::{
    Partition, Store,
    port::{Nonce, Renewal, Timer, TimerId},
};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{error, info, warn};

use self::ask::Answered;
use crate::{
    clears::ClearLooks, error::refused, leases::Leases, metrics::Metrics, overdue::Overdue, quiet::Quiet,
};

/// Reports answered at once; further ones wait on the bus. Each waits for the store most of the time.
const REPORTS_AT_ONCE: usize = 16;
/// Users of one report whose ends are committed at once.
const USERS_AT_ONCE: usize = 32;
/// The longest pause before the bus is asked again to hand over reports.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Answers reports.
#[derive(Clone)]
pub(crate) struct Reports {
    pub(crate) users: Users,
    pub(crate) apps: Apps,
    pub(crate) leases: Leases,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) expiry: Duration,
    pub(crate) moved_grace: Duration,
    pub(crate) overdue: Overdue,
    pub(crate) clear_looks: ClearLooks,
    pub(crate) quiet: Quiet,
    pub(crate) metrics: Metrics,
}

/// Says why a report goes unanswered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The bytes are no report.
    #[error("the bytes are no report")]
    Undecodable(#[from] prost::DecodeError),
    /// It does not say whose it is.
    #[error("the boot is 0, expected the one that registration gave")]
    NoBoot,
    /// Whoever sent it is not the boot that it names.
    #[error("the token is not that of the boot")]
    WrongToken,
    /// The store did not serve it.
    #[error(transparent)]
    Store(#[from] rollcall_store::Error),
    /// A session could not be held again.
    #[error(transparent)]
    Assert(Error),
}

type UserKey = (AppId, UserId);

impl Reports {
    /// Serves reports until `shutdown`, and then those that were begun.
    pub(crate) async fn run(self, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
        let mut pause = Duration::ZERO;
        while !shutdown.is_cancelled() {
            match bus.serve(Subject::Heartbeat).await {
                Ok(requests) => {
                    info!("serving reports");
                    pause = Duration::ZERO;
                    self.serve(requests, &shutdown).await;
                }
                Err(error) => warn!(%error, "could not serve reports, trying again"),
            }
            pause = (pause * 2).clamp(Duration::from_millis(100), PAUSE_MAX);
            shutdown.run_until_cancelled(tokio::time::sleep(rng::jitter(pause))).await;
        }
    }

    /// Serves what one handing-over brings, a bounded number at once.
    async fn serve(&self, mut requests: Requests, shutdown: &CancellationToken) {
        let places = Arc::new(Semaphore::new(REPORTS_AT_ONCE));
        let mut answering = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let next = async { (place.await, requests.requests.recv().await) };
            let Some((place, Some(request))) = shutdown.run_until_cancelled(next).await else { break };
            let reports = self.clone();
            answering.spawn(async move {
                reports.answer(request).await;
                drop(place);
            });
            while let Some(ended) = answering.try_join_next() {
                log_panic(ended);
            }
        }
        while let Some(ended) = answering.join_next().await {
            log_panic(ended);
        }
    }

    async fn answer(&self, request: Request) {
        // Empty: one of us asks whether the bus brings what is sent over it.
        if request.message.payload.is_empty() {
            drop(request.reply.send(Bytes::new()));
            return;
        }
        let handled = match ReportRequest::decode(request.message.payload) {
            Ok(report) => self.handle(report, &request.message.trace).await,
            Err(error) => {
                self.metrics.reported(false);
                Err(error.into())
            }
        };
        match handled {
            // Who asked may have given up; it asks again.
            Ok(response) => drop(request.reply.send(response.encode_to_vec().into())),
            Err(error) => warn!(%error, "left a report unanswered"),
        }
    }

    /// Stores what a report tells.
    pub(crate) async fn handle(
        &self,
        report: ReportRequest,
        trace: &TraceParent,
    ) -> Result<ReportResponse, Failure> {
        let handled = self.store(report, trace).await;
        self.metrics.reported(handled.is_ok());
        handled
    }

    async fn store(&self, mut report: ReportRequest, trace: &TraceParent) -> Result<ReportResponse, Failure> {
        if report.boot == 0 {
            return Err(Failure::NoBoot);
        }
        let boot = BootId(report.boot);
        // Before anything is stored: what of it is stored in a later epoch is not known.
        let store_epoch = self.quiet.epoch().get();
        match self.leases.renew(boot, &report.token, report.nonce).await? {
            Renewal::Live => {}
            Renewal::Dead => {
                return Ok(ReportResponse { dead: true, store_epoch, ..ReportResponse::default() });
            }
            Renewal::WrongToken => return Err(Failure::WrongToken),
        }
        self.quiet.reported(Epoch::new(report.store_epoch), !report.asserted.is_empty());
        let mut malformed = 0;
        let answered = Answered::read(&report.answers);
        let (mut heard, mut ended) = (take(&mut report.heard), take(&mut report.ended));
        heard.extend_from_slice(&answered.live);
        ended.extend_from_slice(&answered.ended);
        let mut missing = self.touch(boot, &heard, &mut malformed).await?;
        let unsettled = self.end(boot, &ended, trace, &mut malformed).await;
        self.settle(boot, &answered, trace, &mut malformed).await?;
        let superseded = self.assert(boot, &report.asserted, trace, &mut malformed).await?;
        // After what ends and what is asserted: that is no difference.
        let compared = self.compare(boot, &report, trace, &mut malformed).await?;
        missing.extend(compared.missing);
        self.metrics.malformed.inc_by(malformed as u64);
        if malformed > 0 {
            warn!(malformed, "skipped parts of a report");
        }
        if report.leaving && unsettled.is_empty() {
            self.leases.retire(boot, &report.token).await?;
        }
        let apps = self.newer(&report.apps).await;
        let store_now = self.store.now().await?.0;
        // At last: what was asked counts as asked.
        let questions =
            if report.leaving { Vec::new() } else { self.questions(boot, Nonce(report.nonce), trace).await };
        Ok(ReportResponse {
            missing,
            apps,
            unsettled,
            superseded,
            store_now,
            questions,
            store_epoch,
            list: compared.list,
            dead: false,
        })
    }

    /// Moves the deadlines of heard sessions on, and returns those that do not exist.
    async fn touch(
        &self,
        boot: BootId,
        heard: &[HeardSession],
        malformed: &mut usize,
    ) -> Result<Vec<SessionRef>, Failure> {
        if heard.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.store.now().await?;
        let mut partitions: BTreeMap<Partition, Vec<Timer>> = BTreeMap::new();
        for heard in heard {
            let Ok(((app, user), session)) = read(boot, heard.session.as_ref()) else {
                *malformed += 1;
                continue;
            };
            // Counted from when the client was heard: a late report never extends a life beyond what was
            // earned, and an impossible age only makes a deadline that moves nothing.
            let deadline = now.minus(Duration::from_millis(heard.age_ms)).plus(self.expiry);
            let timer = Timer { deadline, id: TimerId::of_session(app, user, session) };
            partitions.entry(self.store.partitions().of(app, Some(&user))).or_default().push(timer);
        }
        let mut missing = Vec::new();
        for (partition, timers) in partitions {
            let absent = self.store.touch(partition, &timers).await?;
            missing.extend(absent.iter().filter_map(|id| Some(reference(id.app, &id.user, id.session()?))));
        }
        self.metrics.touched.inc_by(heard.len() as u64);
        self.metrics.missing.inc_by(missing.len() as u64);
        Ok(missing)
    }

    /// Ends sessions whose connections are gone, and returns those for which that could not be stored.
    async fn end(
        &self,
        boot: BootId,
        ended: &[EndedConnection],
        trace: &TraceParent,
        malformed: &mut usize,
    ) -> Vec<SessionRef> {
        let mut users: BTreeMap<UserKey, Vec<(SessionId, EndReason)>> = BTreeMap::new();
        for end in ended {
            match (read(boot, end.session.as_ref()), reason(end)) {
                (Ok((user, session)), Some(reason)) => users.entry(user).or_default().push((session, reason)),
                _ => *malformed += 1,
            }
        }
        let ends = users.into_iter().map(|(user, ended)| self.end_user(user, ended, trace));
        stream::iter(ends).buffer_unordered(USERS_AT_ONCE).concat().await
    }

    async fn end_user(
        &self,
        (app, user): UserKey,
        ended: Vec<(SessionId, EndReason)>,
        trace: &TraceParent,
    ) -> Vec<SessionRef> {
        let mut unsettled = Vec::new();
        for (session, reason) in ended {
            let applied = self
                .users
                .apply(app, &user, trace, |state, now| {
                    Ok(match reason {
                        EndReason::Moved => state.on_connection_moved(session, self.moved_grace, now),
                        reason => state.on_connection_lost(session, reason, now),
                    })
                })
                .await;
            match applied {
                Ok(applied) => {
                    // One that moved lives on for a while.
                    let counts = match reason {
                        EndReason::Moved => applied.state.sessions.contains_key(&session),
                        _ => applied.changed.is_some(),
                    };
                    self.metrics.ended(reason, usize::from(counts));
                }
                // To report it again would not help.
                Err(error @ (Error::Unreadable { .. } | Error::Refused(_))) => {
                    error!(%error, "could not end a session");
                }
                Err(error) => {
                    warn!(%error, "could not end a session, its gateway reports it again");
                    unsettled.push(reference(app, &user, session));
                }
            }
        }
        unsettled
    }

    /// Returns the settings of apps that are newer than the gateway's.
    async fn newer(&self, held: &[AppVersion]) -> Vec<rollcall_proto::common::v1::AppSettings> {
        let mut newer = Vec::new();
        for held in held {
            let Ok(id) = convert::app_id(held.app_id) else { continue };
            // What cannot be read now is asked for again by the next report.
            let Ok(app) = self.apps.get(id).await else { continue };
            if app.version.0 > held.version {
                newer.push(convert::settings_to_wire(id, &app.settings, app.version.0));
            }
        }
        newer
    }
}

/// Reads whose session it is.
fn read(boot: BootId, session: Option<&SessionRef>) -> Result<(UserKey, SessionId), Refusal> {
    let absent = SessionRef::default();
    let session = session.unwrap_or(&absent);
    let user = (convert::app_id(session.app_id)?, convert::user_id(&session.user_id)?);
    Ok((user, SessionId { boot, counter: session.counter }))
}

/// Reads why a connection ended: by its client, by its silence, or by its gateway. All other ends are not a
/// gateway's to tell.
fn reason(end: &EndedConnection) -> Option<EndReason> {
    convert::end_reason(end.reason)
        .filter(|reason| !matches!(reason, EndReason::Kicked | EndReason::Replaced))
}

impl Failure {
    /// Writes what a gateway is told over gRPC.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Undecodable(_) | Self::NoBoot => refused(&Refusal::invalid(self)),
            Self::WrongToken => Status::permission_denied(self.to_string()),
            Self::Store(_) | Self::Assert(_) => {
                refused(&Refusal::new(Code::ServerTimeout, "the store did not serve the report, try again"))
            }
        }
    }
}

fn reference(app: AppId, user: &UserId, session: SessionId) -> SessionRef {
    SessionRef { app_id: app.get(), user_id: user.as_str().to_owned(), counter: session.counter }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "answering a report panicked");
    }
}

#[cfg(test)]
mod tests;
