//! Tells presence what was heard of clients, and which connections have ended (DESIGN section 4).
//!
//! Reports go out at a steady pace also when there is nothing to tell: they renew the lease of this gateway. One
//! that the bus does not bring goes by gRPC, and one that is not answered is repeated.

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use rollcall_bus::{Bus, Message, Subject};
use rollcall_domain::{code::Refusal, epoch::Epoch, id::AppId};
use rollcall_proto::{
    close::CloseCode,
    convert,
    gateway::v1::{ReportResponse, SessionRef},
    missed::Missed,
    trace::TraceParent,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    Gateway,
    hub::{Report, UserKey, close_code},
    metrics::Reported,
};

/// The pause between reports of ends that follow one another: they gather in it.
const ENDED_PAUSE: Duration = Duration::from_millis(5);

/// How many reports follow one another because of what presence asks; what it asks then is answered at the usual pace.
/// Each answers up to 512 questions, and presence may ask for ever what cannot be settled.
const ROUNDS_MAX: usize = 16;

/// Reports until `shutdown`, and once more at the end, so that what ended is known. A gateway of which nothing is left
/// then takes its leave, so that nobody waits for its next report.
pub(crate) async fn run(gateway: Arc<Gateway>, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
    loop {
        let pace = tokio::select! {
            () = tokio::time::sleep(gateway.config.report_every) => true,
            () = gateway.hub.to_report.notified() => {
                tokio::time::sleep(ENDED_PAUSE).await;
                false
            }
            () = shutdown.cancelled() => break,
        };
        report_all(&gateway, &*bus, pace, &shutdown).await;
    }
    report_all(&gateway, &*bus, false, &shutdown).await;
    if let Some(last) = gateway.hub.last_report(&gateway.registered()) {
        ask(&gateway, &*bus, &last).await;
    }
}

/// Reports until there is nothing more to tell at once, or a report goes unanswered. The first goes out in any case
/// if it keeps the pace. Questions are answered at once.
async fn report_all(gateway: &Arc<Gateway>, bus: &dyn Bus, mut pace: bool, shutdown: &CancellationToken) {
    let mut rounds = 0;
    loop {
        let config = &gateway.config;
        let now = gateway.clock.monotonic();
        let boot = gateway.registered();
        let mut report = gateway.hub.report(&boot, config.upload_every, config.upload_left, now);
        if report.is_empty() && !std::mem::take(&mut pace) {
            return;
        }
        gateway.hub.tell_digests(&mut report, boot.partitions, config.digest_every, now);
        let Some(reply) = ask(gateway, bus, &report).await else {
            // Of what becomes of it in the end nothing is heard.
            return gateway.hub.digest_all();
        };
        gateway.hear_store(reply.store_now, now);
        if reply.dead {
            gateway.follow_epoch(&reply);
            return gateway.be_reborn(shutdown).await;
        }
        gateway.contact.answered();
        gateway.hub.reported(&report, &reply, now);
        gateway.hub.digests_told(&report, &reply, config.digest_every, now);
        gateway.hub.tell_ends_again(&report);
        gateway.follow_epoch(&reply);
        apply(gateway, &reply);
        gateway.metrics.answered(&report.request);
        // What is asked again is not settled by telling it at once.
        let asked = gateway.hub.asked(&reply.questions, &report.request.answers);
        rounds += usize::from(asked);
        let more = report.is_full() && reply.unsettled.is_empty();
        if !more && (!asked || rounds > ROUNDS_MAX) {
            return;
        }
    }
}

/// Sends a report over the bus, and past it if it does not answer.
async fn ask(gateway: &Gateway, bus: &dyn Bus, report: &Report) -> Option<ReportResponse> {
    let message = Message {
        subject: Subject::Heartbeat,
        trace: TraceParent::default(),
        payload: report.request.encode_to_vec().into(),
    };
    let limit = gateway.config.report_timeout;
    match bus.request(message, limit).await.map(ReportResponse::decode) {
        Ok(Ok(reply)) => {
            gateway.metrics.reported(Reported::Answered);
            return Some(reply);
        }
        Ok(Err(error)) => warn!(%error, "the answer to a report cannot be read"),
        Err(error) => debug!(%error, "the bus did not answer a report, sending it past the bus"),
    }
    match gateway.backend.report(report.request.clone(), limit).await {
        Ok(reply) => {
            gateway.metrics.reported(Reported::AnsweredPastBus);
            Some(reply)
        }
        Err(refusal) => {
            gateway.metrics.reported(Reported::Unanswered);
            warn!(code = %refusal.code, reason = %refusal.message, "a report was not answered, repeating it");
            None
        }
    }
}

fn apply(gateway: &Gateway, reply: &ReportResponse) {
    for app in &reply.apps {
        if let (Ok(id), Ok(settings)) = (AppId::new(app.app_id), convert::settings(app)) {
            gateway.set_settings(id, settings, app.version);
        }
    }
    for missing in &reply.missing {
        if let Ok(key) = user_of(missing) {
            let counter = missing.counter;
            debug!(counter, "presence does not hold a session, asserting it");
            gateway.hub.assert_session(&key, counter);
        }
    }
    for over in &reply.superseded {
        let Some((session, Ok(key))) = over.session.as_ref().map(|session| (session, user_of(session)))
        else {
            continue;
        };
        let code = convert::end_reason(over.reason).map_or(CloseCode::SessionLost, close_code);
        gateway.hub.close_session(&key, session.counter, code);
    }
}

impl Gateway {
    /// Follows the store into the epoch that a reply names: what it may have lost is told again, and what is shown is read
    /// again.
    fn follow_epoch(&self, reply: &ReportResponse) {
        if self.hub.follow_epoch(Epoch::new(reply.store_epoch)) {
            self.metrics.epochs.inc();
            let (sessions, users) = self.hub.counts();
            warn!(
                sessions,
                users, "the store is in a new epoch and may have lost what it acknowledged, telling it again"
            );
            self.resync.ask(Missed::Everything);
        }
    }
}

fn user_of(session: &SessionRef) -> Result<UserKey, Refusal> {
    Ok((convert::app_id(session.app_id)?, convert::user_id(&session.user_id)?))
}
