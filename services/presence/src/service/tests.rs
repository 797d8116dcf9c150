//! Tests of the whole service, over gRPC and the memory bus.

use std::{sync::atomic::Ordering, time::Duration};

use prost::Message as _;
use rollcall_bus::{Message, Subject, Subscription, memory::MemoryBus};
use rollcall_domain::{
    code::{Code, Refusal},
    id::Platform,
};
use rollcall_proto::{
    admin::v1::{CreateAppRequest, GetAppRequest, admin_service_client::AdminServiceClient},
    again,
    common::v1::{EndedSession, OnlineDetail, SessionId},
    event::v1::{Change, ChangeKind},
    gateway::v1::{
        EndedConnection, RegisterRequest, RegisterResponse, ReportRequest, ReportResponse, SessionRef,
        gateway_service_client::GatewayServiceClient,
    },
    presence::v1::{
        GetStatusVersionsRequest, GetUserStatusRequest, LoginRequest, LogoutRequest, SetSelfStatusRequest,
        presence_service_client::PresenceServiceClient,
    },
    refusal,
    trace::TraceParent,
};
use rollcall_runtime::{Clock, config::Profile, ops::Ops};
use tokio::{task::JoinHandle, time::timeout};
use tonic::transport::Channel;

use super::*;
use crate::fixture::{EXPIRY, Fixture, claims, token};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Generous: a busy machine must not fail a test.
const LIMIT: Duration = Duration::from_secs(30);

/// Long enough for a busy machine to report in.
const LEASE: Duration = Duration::from_millis(900);

struct Running {
    channel: Channel,
    bus: MemoryBus,
    changes: Subscription,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

/// Starts the service over the store of a fixture.
async fn start(fixture: &Fixture) -> Running {
    let bus = MemoryBus::new(Clock::store_clock());
    let changes = bus.subscribe_status().await.unwrap();
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        sweep_every: Duration::from_millis(10),
        relay_after: Duration::from_millis(100),
        relay_every: Duration::from_millis(100),
        lease: LEASE,
        listening: LEASE / 3,
        ..Config::profile(Profile::Default)
    };
    let service =
        Service::bind(&config, fixture.store.clone(), Arc::new(bus.clone()), Clock::new(), &Ops::default())
            .unwrap();
    let channel = grpc::channel(&format!("http://{}", service.local_addr())).unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(service.run(shutdown.clone()));
    Running { channel, bus, changes, shutdown, task }
}

impl Running {
    async fn change(&mut self) -> (Message, Change) {
        let message = loop {
            let message = timeout(LIMIT, self.changes.messages.recv()).await.unwrap().unwrap();
            if message.subject != Subject::Head {
                break message;
            }
        };
        let change = Change::decode(message.payload.clone()).unwrap();
        (message, change)
    }

    fn gateways(&self) -> GatewayServiceClient<Channel> {
        GatewayServiceClient::new(self.channel.clone())
    }

    async fn register(&self) -> RegisterResponse {
        self.gateways().register(RegisterRequest {}).await.unwrap().into_inner()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn login_of(fixture: &Fixture, boot: u64) -> LoginRequest {
    LoginRequest {
        app_id: 7,
        user_id: "alice".to_owned(),
        token: token(&fixture.key, &claims("alice")),
        platform: Platform::Web as i32,
        device_id: "browser".to_owned(),
        session: Some(SessionId { boot, counter: 1 }),
        ..LoginRequest::default()
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, tonic::Status>) -> Refusal {
    refusal::from_status(&result.unwrap_err())
}

#[tokio::test]
async fn a_login_a_set_and_a_logout_cross_grpc_and_are_told_on_the_bus() {
    let fixture = Fixture::new().await;
    let mut running = start(&fixture).await;
    let boot = running.register().await.boot;
    let mut client = PresenceServiceClient::new(running.channel.clone());

    let login = TraceParent::parse(TRACE).request(login_of(&fixture, boot));
    let login = client.login(login).await.unwrap().into_inner();
    let status = login.status.unwrap();
    assert_eq!((status.user_id.as_str(), status.general, status.custom.as_str()), ("alice", 1, ""));
    assert!(login.login_order > 0 && login.app.unwrap().status);
    let (message, change) = running.change().await;
    assert_eq!(message.trace.as_str(), TRACE);
    assert!(matches!(message.subject, Subject::Status(_)));
    assert_eq!(
        (change.kind(), change.general, change.status_version),
        (ChangeKind::Status, 1, status.version)
    );
    assert_eq!(change.record_version, login.login_order);

    let session = Some(SessionId { boot, counter: 1 });
    let (user_id, custom) = ("alice".to_owned(), "busy".to_owned());
    let set = SetSelfStatusRequest {
        app_id: 7,
        user_id,
        session,
        custom,
        op: 1,
        ..SetSelfStatusRequest::default()
    };
    let status = client.set_self_status(set).await.unwrap().into_inner().status.unwrap();
    let (_, change) = running.change().await;
    assert_eq!((change.custom.as_str(), change.status_version), ("busy", status.version));

    let query = GetUserStatusRequest {
        app_id: 7,
        user_ids: vec!["alice".to_owned(), "\n".to_owned()],
        caller_id: String::new(),
        with_details: true,
    };
    let answer = client.get_user_status(query).await.unwrap().into_inner();
    assert_eq!(answer.statuses, [status]);
    assert_eq!(answer.failures[0].code, Code::BadUserId.number());
    let platforms = vec![Platform::Web as i32];
    assert_eq!(answer.details, [OnlineDetail { user_id: "alice".to_owned(), platforms, last_online_at: 0 }]);

    let logout = LogoutRequest { app_id: 7, user_id: "alice".to_owned(), session, not_after: 0 };
    client.logout(logout).await.unwrap();
    assert_eq!(running.change().await.1.general, 3);
    running.stop().await;
}

// SPEC C4
#[tokio::test]
async fn a_query_that_says_it_was_sent_before_counts_against_no_window() {
    let fixture = Fixture::new().await;
    let running = start(&fixture).await;
    let mut client = PresenceServiceClient::new(running.channel.clone());
    let of = |again| {
        let (user_ids, caller_id) = (vec!["alice".to_owned()], "bob".to_owned());
        let mut request =
            tonic::Request::new(GetUserStatusRequest { app_id: 7, user_ids, caller_id, with_details: false });
        if again {
            again::mark(request.metadata_mut());
        }
        request
    };
    for _ in 0..30 {
        client.get_user_status(of(true)).await.unwrap();
    }
    for _ in 0..20 {
        client.get_user_status(of(false)).await.unwrap();
    }
    let refused = refused(client.get_user_status(of(false)).await);
    assert_eq!(refused.code, Code::RateLimit);
    assert!(refused.retry_after.is_some());
    running.stop().await;
}

#[tokio::test]
async fn versions_of_statuses_are_read_in_the_order_of_the_ids() {
    let fixture = Fixture::new().await;
    let running = start(&fixture).await;
    let boot = running.register().await.boot;
    let mut client = PresenceServiceClient::new(running.channel.clone());
    let login = client.login(login_of(&fixture, boot)).await.unwrap().into_inner();
    let versions = |ids: Vec<String>| GetStatusVersionsRequest { app_id: 7, user_ids: ids };
    let ids = ["nobody", "alice", "nobody"].map(str::to_owned).to_vec();
    let read = client.get_status_versions(versions(ids)).await.unwrap().into_inner();
    assert_eq!(read.versions, [0, login.status.unwrap().version, 0]);
    for (malformed, code) in [
        (Vec::new(), Code::InvalidParameter),
        (vec!["a".to_owned(); 501], Code::InvalidParameter),
        (vec!["alice".to_owned(), "\n".to_owned()], Code::BadUserId),
    ] {
        assert_eq!(refused(client.get_status_versions(versions(malformed)).await).code, code);
    }
    running.stop().await;
}

// FAULT 25
#[tokio::test]
async fn calls_that_come_too_late_over_grpc_change_nothing() {
    let fixture = Fixture::new().await;
    let running = start(&fixture).await;
    let registered = running.register().await;
    let boot = registered.boot;
    assert_eq!(registered.store_now, fixture.store.clock.load(Ordering::SeqCst));
    let mut client = PresenceServiceClient::new(running.channel.clone());
    let (now, late) = (registered.store_now, registered.store_now - 1);
    let late_login = LoginRequest { not_after: late, ..login_of(&fixture, boot) };
    assert_eq!(refused(client.login(late_login).await).code, Code::Timeout);
    client.login(LoginRequest { not_after: now, ..login_of(&fixture, boot) }).await.unwrap();

    let (session, user_id) = (Some(SessionId { boot, counter: 1 }), "alice".to_owned());
    let set = |op, custom: &str, not_after| {
        let (user_id, custom) = (user_id.clone(), custom.to_owned());
        SetSelfStatusRequest { app_id: 7, user_id, session, custom, not_after, op, clear_at: 0 }
    };
    assert_eq!(refused(client.set_self_status(set(1, "late", late)).await).code, Code::Timeout);
    let second = client.set_self_status(set(2, "second", now)).await.unwrap().into_inner();
    let first = client.set_self_status(set(1, "first", now)).await.unwrap().into_inner();
    assert_eq!((first.status, first.set_version), (second.status, 0), "overtaken on its way");
    assert!(second.set_version > 0);
    assert_eq!(fixture.status("alice").await.1, "second");

    let logout = LogoutRequest { app_id: 7, user_id: user_id.clone(), session, not_after: late };
    assert_eq!(refused(client.logout(logout).await).code, Code::Timeout);
    assert_eq!(fixture.status("alice").await.0, 1);
    running.stop().await;
}

// SPEC K1
#[tokio::test]
async fn the_shape_of_a_login_is_checked_before_its_token() {
    let fixture = Fixture::new().await;
    let running = start(&fixture).await;
    let mut client = PresenceServiceClient::new(running.channel.clone());
    let good = LoginRequest { token: "none".to_owned(), ..login_of(&fixture, 1) };
    let cases = [
        (LoginRequest { app_id: 0, ..good.clone() }, Code::InvalidParameter),
        (LoginRequest { user_id: "x".repeat(33), ..good.clone() }, Code::BadUserId),
        (LoginRequest { platform: 0, ..good.clone() }, Code::InvalidParameter),
        (LoginRequest { platform: 8, ..good.clone() }, Code::InvalidParameter),
        (LoginRequest { device_id: "a b".to_owned(), ..good.clone() }, Code::InvalidParameter),
        (LoginRequest { session: None, ..good.clone() }, Code::InvalidParameter),
        (LoginRequest { app_id: 8, ..good.clone() }, Code::AppUnknown),
        (good, Code::BadToken),
    ];
    for (login, expected) in cases {
        assert_eq!(refused(client.login(login).await).code, expected);
    }
    running.stop().await;
}

#[tokio::test]
async fn an_app_is_created_and_read_over_grpc() {
    let fixture = Fixture::new().await;
    let running = start(&fixture).await;
    let mut admin = AdminServiceClient::new(running.channel.clone());
    let create = CreateAppRequest { app_id: 9, edition: 2, status: true, ..CreateAppRequest::default() };
    let created = admin.create_app(create).await.unwrap().into_inner();
    assert_eq!(created.token_key.len(), 64);
    let found = admin.get_app(GetAppRequest { app_id: 9 }).await.unwrap().into_inner();
    assert_eq!(found.app, created.app);
    assert_eq!(refused(admin.create_app(create).await).code, Code::InvalidParameter);
    let bad = CreateAppRequest { app_id: 10, edition: 9, ..create };
    assert_eq!(refused(admin.create_app(bad).await).code, Code::InvalidParameter);
    assert_eq!(refused(admin.get_app(GetAppRequest { app_id: 10 }).await).code, Code::AppUnknown);
    running.stop().await;
}

fn closed(gateway: RegisterResponse) -> ReportRequest {
    let session = Some(SessionRef { app_id: 7, user_id: "alice".to_owned(), counter: 1 });
    ReportRequest {
        boot: gateway.boot,
        token: gateway.token,
        ended: vec![EndedConnection { session, reason: 1 }],
        ..ReportRequest::default()
    }
}

// SPEC A6
#[tokio::test]
async fn a_report_over_grpc_counts_as_one_over_the_bus_and_a_forged_one_is_refused() {
    let fixture = Fixture::new().await;
    let mut running = start(&fixture).await;
    let gateway = running.register().await;
    let mut client = PresenceServiceClient::new(running.channel.clone());
    client.login(login_of(&fixture, gateway.boot)).await.unwrap();
    running.change().await;

    let forged = ReportRequest { token: vec![0; 32], ..closed(gateway.clone()) };
    let refused = running.gateways().report(forged).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    running.gateways().report(closed(gateway)).await.unwrap();
    assert_eq!(running.change().await.1.general, 2);
    running.stop().await;
}

// SPEC A11
#[tokio::test]
async fn a_gateway_that_reports_no_more_is_dead_after_a_lease_and_never_before() {
    let fixture = Fixture::new().await;
    let mut running = start(&fixture).await;
    let gateway = running.register().await;
    let mut client = PresenceServiceClient::new(running.channel.clone());
    client.login(login_of(&fixture, gateway.boot)).await.unwrap();
    running.change().await;

    let clock = Clock::new();
    let begun = clock.monotonic();
    for nonce in 1..=20 {
        let (boot, token) = (gateway.boot, gateway.token.clone());
        let report = ReportRequest { boot, token, nonce, ..ReportRequest::default() };
        assert!(!running.gateways().report(report).await.unwrap().into_inner().dead);
        tokio::time::sleep(LEASE / 10).await;
    }
    assert_eq!(running.change().await.1.general, 2);
    assert!(clock.monotonic().since(begun) >= LEASE * 14 / 5, "nearly two of reports, and one without");
    let late = running.gateways().report(closed(gateway)).await.unwrap().into_inner();
    assert!(late.dead);
    running.stop().await;
}

// SPEC A6
#[tokio::test]
async fn a_report_over_the_bus_ends_a_session_and_is_answered() {
    let fixture = Fixture::new().await;
    let mut running = start(&fixture).await;
    let gateway = running.register().await;
    let boot = gateway.boot;
    let mut client = PresenceServiceClient::new(running.channel.clone());
    client.login(login_of(&fixture, boot)).await.unwrap();
    running.change().await;

    let message = Message {
        subject: Subject::Heartbeat,
        trace: TraceParent::default(),
        payload: closed(gateway).encode_to_vec().into(),
    };
    let reply = running.bus.request(message, LIMIT).await.unwrap();
    let reply = ReportResponse::decode(reply).unwrap();
    let (store_now, store_epoch) = (reply.store_now, fixture.store.epoch().get());
    assert_eq!(reply, ReportResponse { store_now, store_epoch, ..ReportResponse::default() });
    assert_eq!(running.change().await.1.general, 2);
    running.stop().await;
}

// SPEC A7
#[tokio::test]
async fn a_session_of_which_its_gateway_says_nothing_ends_and_that_is_told() {
    let fixture = Fixture::new().await;
    let mut running = start(&fixture).await;
    let RegisterResponse { boot, token, .. } = running.register().await;
    let mut client = PresenceServiceClient::new(running.channel.clone());
    client.login(login_of(&fixture, boot)).await.unwrap();
    running.change().await;
    fixture.advance(EXPIRY + Duration::from_secs(10));
    let mut gateways = running.gateways();
    let reporting = tokio::spawn(async move {
        for nonce in 1.. {
            let token = token.clone();
            let report = ReportRequest { boot, token, nonce, ..ReportRequest::default() };
            gateways.report(report).await.unwrap();
        }
    });
    let (_, change) = running.change().await;
    reporting.abort();
    let session = Some(SessionId { boot, counter: 1 });
    assert_eq!(change.ended, [EndedSession { session, reason: 2 }]);
    assert_eq!(change.general, 2);
    running.stop().await;
}

#[tokio::test]
async fn what_another_process_left_in_the_outbox_is_relayed() {
    let fixture = Fixture::new().await;
    // The publisher of the fixture is not run.
    fixture.log_in("alice", 1, Platform::Web).await;
    let mut running = start(&fixture).await;
    fixture.advance(Duration::from_secs(1));
    let (_, change) = running.change().await;
    assert_eq!((change.user_id.as_str(), change.sequence), ("alice", 1));
    running.stop().await;
}

#[tokio::test]
async fn a_service_that_cannot_reach_its_store_still_stops_in_order() {
    let fixture = Fixture::new().await;
    let running = start(&fixture).await;
    fixture.store.away.store(true, Ordering::SeqCst);
    let refused = running.gateways().register(RegisterRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    running.stop().await;
}
