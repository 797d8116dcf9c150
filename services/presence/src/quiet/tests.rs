//! What is left undone in a quiet time, and what is done all the same.

use rollcall_domain::{
    code::Code,
    epoch::Epoch,
    id::{Op, Platform},
    status::StatusVersion,
};
use rollcall_proto::{
    gateway::v1::{Answer, EndedConnection, ReportRequest, ReportResponse, SessionRef},
    trace::TraceParent,
};
use rollcall_store::port::{Nonce, Store as _};

use crate::{
    fixture::{BOOT, EXPIRY, Fixture, GRACE, START, TOKEN, app, caller, code, seconds, user},
    sessions::Set,
};

const ONLINE: i32 = 1;
const OFFLINE: i32 = 2;
const CLOSED: i32 = 1;

fn of(name: &str, counter: u64) -> SessionRef {
    SessionRef { app_id: 7, user_id: name.to_owned(), counter }
}

async fn send(fixture: &Fixture, report: ReportRequest) -> ReportResponse {
    let report = ReportRequest { boot: BOOT.0, token: TOKEN.to_vec(), ..report };
    fixture.parts.reports.handle(report, &TraceParent::default()).await.unwrap()
}

// FAULT 11, SPEC A11
#[tokio::test]
async fn nobody_is_judged_by_what_a_store_in_a_new_epoch_holds() {
    let fixture = Fixture::new().await;
    for (counter, name) in (1..).zip(["moved", "overdue", "text"]) {
        fixture.log_in(name, counter, Platform::Web).await;
    }
    fixture.move_away("moved", 1).await;
    let set = Set { op: Op::NONE, text: "brief".to_owned(), clear_at: Some(seconds(START + 5)) };
    fixture.parts.sessions.set_self_status(&caller("text", 3), &set, &TraceParent::default()).await.unwrap();
    send(&fixture, ReportRequest { nonce: 1, ..ReportRequest::default() }).await;
    fixture.advance(EXPIRY + GRACE);

    fixture.begin_epoch(2);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
    assert_eq!(fixture.parts.clears.pass().await.cleared, 0);
    for nonce in 2..9 {
        let unknown = Answer { session: Some(of("overdue", 2)), fate: None };
        let report = ReportRequest { nonce, answers: vec![unknown], ..ReportRequest::default() };
        assert_eq!(send(&fixture, report).await.questions, []);
    }
    for name in ["moved", "overdue", "text"] {
        assert_eq!(fixture.status(name).await.0, ONLINE, "{name}");
    }
    assert_eq!(fixture.status("text").await.1, "brief");
    assert_eq!(fixture.store.leases().await.unwrap()[0].nonce, Nonce(8), "reports go on");

    // What its gateway tells is no verdict of ours.
    let closed = EndedConnection { session: Some(of("overdue", 2)), reason: CLOSED };
    send(&fixture, ReportRequest { nonce: 9, ended: vec![closed], ..ReportRequest::default() }).await;
    assert_eq!(fixture.status("overdue").await.0, OFFLINE);
}

// FAULT 11
#[tokio::test]
async fn nobody_is_judged_who_would_have_been_when_the_call_began_that_led_into_a_new_epoch() {
    let fixture = Fixture::new().await;
    fixture.log_in("moved", 1, Platform::Web).await;
    fixture.move_away("moved", 1).await;
    let before = fixture.log_in("text", 2, Platform::Web).await.version;
    let set = Set { op: Op::NONE, text: "brief".to_owned(), clear_at: Some(seconds(START + 5)) };
    fixture.parts.sessions.set_self_status(&caller("text", 2), &set, &TraceParent::default()).await.unwrap();
    fixture.advance(GRACE);

    let begin = |number| *fixture.store.next_epoch.lock() = Epoch::new(number);
    begin(2);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
    begin(3);
    assert_eq!(fixture.parts.clears.pass().await.cleared, 0);
    begin(4);
    let shown = vec![(user("text"), StatusVersion(before.0 + 1_000))];
    let raised = fixture.parts.reports.raise(app(), shown, &TraceParent::default()).await;
    assert_eq!(code(raised), Code::ServerTimeout);
}

// FAULT 11
#[tokio::test]
async fn a_report_is_told_the_epoch_and_a_gateway_that_knew_another_begins_a_quiet_time_of_who_just_started()
{
    let fixture = Fixture::new().await;
    let epoch = fixture.store.epoch().get();
    let quiet = &fixture.parts.reports.quiet;
    let known = async |store_epoch| {
        let reply = send(&fixture, ReportRequest { store_epoch, ..ReportRequest::default() }).await;
        (reply.store_epoch, quiet.is_now())
    };
    assert_eq!(known(0).await, (epoch, false));
    assert_eq!(known(epoch).await, (epoch, false));
    assert_eq!(known(epoch ^ 1).await, (epoch, true));
}
