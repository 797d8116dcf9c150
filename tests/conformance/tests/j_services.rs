//! SPEC J1: what every service for backends and operators says in the same way.

use std::collections::BTreeSet;

use rollcall_conformance::GRACE;
use rollcall_harness::{Deployment, Rollcall};
use rollcall_proto::{
    admin::v1::GetAppRequest,
    gateway::v1::{ReportRequest, gateway_service_client::GatewayServiceClient},
    notifier::v1::{AttachRequest, User},
    presence::v1::{
        GetLastOnlineRequest, GetUserStatusRequest, KickUserRequest, UserRef,
        last_online_service_client::LastOnlineServiceClient, user_service_client::UserServiceClient,
    },
    role::Role,
    subscription::v1::{
        AddFriendsRequest, ListSubscriptionsRequest, SubscribeRequest,
        friend_service_client::FriendServiceClient,
    },
};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt as _;

/// The services of each server.
const SERVICES: [(Role, &[&str]); 3] = [
    (
        Role::Presence,
        &[
            "rollcall.admin.v1.AdminService",
            "rollcall.gateway.v1.GatewayService",
            "rollcall.presence.v1.LastOnlineService",
            "rollcall.presence.v1.PresenceService",
            "rollcall.presence.v1.UserService",
        ],
    ),
    (
        Role::Subscription,
        &["rollcall.subscription.v1.FriendService", "rollcall.subscription.v1.SubscriptionService"],
    ),
    (Role::Notifier, &["rollcall.notifier.v1.NotifierService"]),
];

// SPEC J1
#[tokio::test]
async fn every_service_is_healthy_by_its_name_and_listed_by_reflection() {
    let rollcall = Rollcall::start().await;
    for (server, services) in SERVICES {
        let mut health = HealthClient::new(rollcall.addresses().channel(server, Role::Backend));
        for service in services {
            let request = HealthCheckRequest { service: (*service).to_owned() };
            let answer = health.check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
        }
        let other = HealthCheckRequest { service: "rollcall.other.v1.OtherService".to_owned() };
        assert_eq!(health.check(other).await.unwrap_err().code(), Code::NotFound);

        let list = MessageRequest::ListServices(String::new());
        let request = ServerReflectionRequest { message_request: Some(list), ..Default::default() };
        let channel = rollcall.addresses().channel(server, Role::Operator);
        let mut reflection = ServerReflectionClient::new(channel);
        let asked = reflection.server_reflection_info(tokio_stream::iter([request])).await;
        let answer = asked.unwrap().into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("{server}: {answer:?}")
        };
        let listed: BTreeSet<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
        assert!(services.iter().all(|service| listed.contains(service)), "{server}: {listed:?}");
    }
}

/// Attaches a gateway with one batch, and returns how its stream ends.
async fn attach(rollcall: &Rollcall, batch: AttachRequest) -> Status {
    let mut stream = rollcall.notifier().attach(tokio_stream::iter([batch])).await.unwrap().into_inner();
    loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "the stream ended without a status"),
            Err(status) => return status,
        }
    }
}

/// Makes a call that is wrong of every service, and returns how it was refused.
async fn refused_by(rollcall: &Rollcall, service: &str) -> Status {
    let (addresses, bad) = (rollcall.addresses(), || "\n".to_owned());
    match service {
        "admin" => rollcall.admin().get_app(GetAppRequest { app_id: 0 }).await.map(drop),
        "gateway" => {
            let channel = addresses.channel(Role::Presence, Role::Gateway);
            GatewayServiceClient::new(channel).report(ReportRequest::default()).await.map(drop)
        }
        "presence" => rollcall.presence().get_user_status(GetUserStatusRequest::default()).await.map(drop),
        "last online" => {
            let channel = addresses.channel(Role::Presence, Role::Subscription);
            let users = vec![UserRef { app_id: 1, user_id: bad() }];
            LastOnlineServiceClient::new(channel)
                .get_last_online(GetLastOnlineRequest { users })
                .await
                .map(drop)
        }
        "user" => {
            let channel = addresses.channel(Role::Presence, Role::Backend);
            let request = KickUserRequest { app_id: 1, user_id: bad() };
            UserServiceClient::new(channel).kick_user(request).await.map(drop)
        }
        "subscription" => {
            let request = ListSubscriptionsRequest { app_id: 1, user_id: bad(), online: false };
            rollcall.subscription().list_subscriptions(request).await.map(drop)
        }
        "friend" => {
            let channel = addresses.channel(Role::Subscription, Role::Backend);
            let request = AddFriendsRequest { app_id: 1, user_id: bad(), friend_ids: Vec::new() };
            FriendServiceClient::new(channel).add_friends(request).await.map(drop)
        }
        "notifier" => {
            let added = vec![User { app_id: 1, user_id: bad() }];
            Err(attach(rollcall, AttachRequest { batch: 1, added, ..AttachRequest::default() }).await)
        }
        "notifier's order" => Err(attach(rollcall, AttachRequest::default()).await),
        other => panic!("{other} is no service"),
    }
    .expect_err(service)
}

// SPEC J1, K
#[tokio::test]
async fn every_service_refuses_with_the_number_of_the_code_as_error_info_of_google_rpc() {
    let rollcall = Rollcall::start().await;
    for (service, number) in [
        ("admin", 6017),
        ("gateway", 6017),
        ("presence", 6017),
        ("last online", 7003),
        ("user", 7003),
        ("subscription", 7003),
        ("friend", 7003),
        ("notifier", 7003),
        ("notifier's order", 6017),
    ] {
        let status = refused_by(&rollcall, service).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{service}: {status:?}");
        assert!(!status.message().is_empty(), "{service}");
        let info = status.get_details_error_info().unwrap_or_else(|| panic!("{service}: {status:?}"));
        assert_eq!((info.domain, info.reason), ("rollcall".to_owned(), number.to_string()), "{service}");
    }
}

// SPEC J1, C4
#[tokio::test]
async fn a_refusal_for_the_rate_says_when_to_try_again_as_retry_info_of_google_rpc() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (app_id, user_id) = (app.id, "alice".to_owned());
    let query = GetUserStatusRequest {
        app_id,
        user_ids: vec!["bob".to_owned()],
        caller_id: user_id.clone(),
        with_details: false,
    };
    let subscribe = SubscribeRequest { app_id, user_id, target_ids: vec!["bob".to_owned()], not_after: 0 };
    let mut refused = Vec::new();
    while refused.is_empty() {
        refused.extend(rollcall.presence().get_user_status(query.clone()).await.err());
    }
    while refused.len() == 1 {
        refused.extend(rollcall.subscription().subscribe(subscribe.clone()).await.err());
    }
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "7008");
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    }
}

// SPEC J1, K
#[tokio::test]
async fn a_call_of_a_service_that_stands_still_ends_by_its_deadline_and_takes_no_effect_later() {
    // One process stands still as a whole.
    let mut builder = Rollcall::builder().deployment(Deployment::Cluster);
    for service in ["gateway", "presence"] {
        // By default nobody expires in the time of a call.
        builder = builder.setting(service, "expiry = \"30s\"");
    }
    let mut rollcall = builder.start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let before = bob.set("before").await.ok().status();
    bob.subscribe(&["alice"]).await.ok();

    let both = |rollcall: &mut Rollcall, service: &str, stops: bool| {
        for number in 0..2 {
            let process = rollcall.process(service, number);
            if stops { process.stop() } else { process.resume() }
        }
    };
    both(&mut rollcall, "subscription", true);
    let subscribe = bob.subscribe(&["carol"]).await;
    both(&mut rollcall, "subscription", false);
    both(&mut rollcall, "presence", true);
    let set = bob.set("never").await;
    both(&mut rollcall, "presence", false);

    for reply in [subscribe, set] {
        assert!([6012, 70169].contains(&reply.code), "{reply:?}");
        let code = reply.code;
        reply.refused(code);
    }
    tokio::time::sleep(GRACE).await;
    assert_eq!(bob.subscriptions().await, ["alice"]);
    assert_eq!(bob.status_of("bob").await, before);
}
