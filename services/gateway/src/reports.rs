//! Tells presence what was heard of clients, and which connections have ended (DESIGN section 4).

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use rollcall_bus::{Bus, Message, Subject};
use rollcall_domain::id::AppId;
use rollcall_proto::{close::CloseCode, convert, gateway::v1::ReportResponse, trace::TraceParent};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{Gateway, hub::Report, metrics::Reported};

/// The pause between reports of ends that follow one another: they gather in it.
const ENDED_PAUSE: Duration = Duration::from_millis(5);

/// Reports until `shutdown`, and once more at the end, so that what ended is known.
pub(crate) async fn run(gateway: Arc<Gateway>, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(gateway.config.report_every) => {}
            () = gateway.hub.session_ended.notified() => tokio::time::sleep(ENDED_PAUSE).await,
            () = shutdown.cancelled() => break,
        }
        report_all(&gateway, &*bus).await;
    }
    report_all(&gateway, &*bus).await;
}

/// Reports until there is nothing more to tell at once, or a report goes unanswered.
async fn report_all(gateway: &Gateway, bus: &dyn Bus) {
    loop {
        let config = &gateway.config;
        let now = gateway.clock.monotonic();
        let report = gateway.hub.report(gateway.boot(), config.upload_every, config.upload_left, now);
        if report.is_empty() {
            return;
        }
        let Some(reply) = ask(gateway, bus, &report).await else { return };
        gateway.hub.reported(&report, &reply, now);
        apply(gateway, &reply);
        if !report.is_full() || !reply.unsettled.is_empty() {
            return;
        }
    }
}

async fn ask(gateway: &Gateway, bus: &dyn Bus, report: &Report) -> Option<ReportResponse> {
    let message = Message {
        subject: Subject::Heartbeat,
        trace: TraceParent::default(),
        payload: report.request.encode_to_vec().into(),
    };
    let reply = match bus.request(message, gateway.config.report_timeout).await {
        Ok(reply) => reply,
        Err(error) => {
            gateway.metrics.reported(Reported::Unanswered);
            warn!(%error, "a report was not answered, repeating it");
            return None;
        }
    };
    let answer = ReportResponse::decode(reply)
        .inspect_err(|error| warn!(%error, "the answer to a report cannot be read, repeating it"));
    gateway.metrics.reported(if answer.is_ok() { Reported::Answered } else { Reported::Unreadable });
    answer.ok()
}

fn apply(gateway: &Gateway, reply: &ReportResponse) {
    for app in &reply.apps {
        if let (Ok(id), Ok(settings)) = (AppId::new(app.app_id), convert::settings(app)) {
            gateway.hub.set_settings(id, settings, app.version);
        }
    }
    for missing in &reply.missing {
        if let (Ok(app), Ok(user)) = (convert::app_id(missing.app_id), convert::user_id(&missing.user_id)) {
            debug!(counter = missing.counter, "presence does not hold a session, closing it");
            gateway.hub.close_session(&(app, user), missing.counter, CloseCode::SessionLost);
        }
    }
}
