//! What the services say over gRPC, besides what the other chapters use of it.

use rollcall_conformance::ids;
use rollcall_harness::{Rollcall, within};
use rollcall_proto::{
    common::v1::GeneralStatus,
    event::v1::{Change, ChangeKind},
    notifier::v1::{AttachRequest, AttachResponse, User},
    presence::v1::GetUserStatusRequest,
    refusal,
    role::Role,
    subscription::v1::{ListSubscriptionsRequest, SubscribeRequest, UnsubscribeRequest},
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

// DESIGN section 7
#[tokio::test]
async fn every_service_answers_health_checks() {
    let rollcall = Rollcall::start().await;
    let addresses = rollcall.addresses();
    for server in [Role::Presence, Role::Subscription, Role::Notifier] {
        let mut health = HealthClient::new(addresses.channel(server, Role::Backend));
        let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{server}");
    }
}

// SPEC J1
#[tokio::test]
async fn every_service_tells_operators_tools_what_it_serves() {
    let rollcall = Rollcall::start().await;
    for (server, service) in [
        (Role::Presence, "rollcall.presence.v1.UserService"),
        (Role::Subscription, "rollcall.subscription.v1.SubscriptionService"),
        (Role::Notifier, "rollcall.notifier.v1.NotifierService"),
    ] {
        let channel = rollcall.addresses().channel(server, Role::Operator);
        let request = ServerReflectionRequest {
            message_request: Some(MessageRequest::FileContainingSymbol(service.to_owned())),
            ..ServerReflectionRequest::default()
        };
        let mut reflection = ServerReflectionClient::new(channel);
        let asked = reflection.server_reflection_info(tokio_stream::iter([request])).await;
        let answer = asked.unwrap().into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::FileDescriptorResponse(file)) = answer.message_response else {
            panic!("{service}: {answer:?}")
        };
        assert_eq!(file.file_descriptor_proto.len(), 1, "{service}");
    }
}

/// A gateway's stream to the notifier.
struct Attached {
    up: mpsc::Sender<AttachRequest>,
    down: Streaming<AttachResponse>,
    heard: Vec<Change>,
    acknowledged: u64,
}

impl Attached {
    async fn open(rollcall: &Rollcall) -> Self {
        let (up, requests) = mpsc::channel(8);
        let down = rollcall.notifier().attach(ReceiverStream::new(requests)).await.unwrap().into_inner();
        Self { up, down, heard: Vec::new(), acknowledged: 0 }
    }

    /// Asks for users, and waits for the acknowledgement.
    async fn ask_for(&mut self, batch: u64, app_id: u32, users: &[&str]) {
        let user = |user: &&str| User { app_id, user_id: (*user).to_owned() };
        let added = users.iter().map(user).collect();
        self.up.send(AttachRequest { batch, added, ..AttachRequest::default() }).await.unwrap();
        while self.acknowledged < batch {
            self.receive().await;
        }
    }

    /// Waits for a change that satisfies `until`.
    async fn change(&mut self, until: impl Fn(&Change) -> bool) -> Change {
        loop {
            if let Some(position) = self.heard.iter().position(&until) {
                return self.heard.remove(position);
            }
            self.receive().await;
        }
    }

    async fn receive(&mut self) {
        let message = within("a message of the notifier", self.down.message()).await.unwrap();
        let message = message.expect("the stream is open");
        self.acknowledged = self.acknowledged.max(message.acknowledged);
        self.heard.extend(message.changes);
    }
}

// DESIGN section 7
#[tokio::test]
async fn the_trace_of_a_clients_call_arrives_with_the_change() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let mut notifier = Attached::open(&rollcall).await;
    notifier.ask_for(1, app.id, &["alice"]).await;

    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    alice.call(json!({ "traceparent": trace, "setSelfStatus": { "custom": "traced" } })).await.ok();
    let change = notifier.change(|change| change.custom == "traced").await;
    // The trace goes on; a service may put a span of its own into it.
    assert_eq!(change.traceparent.get(..36), trace.get(..36), "{change:?}");
    assert_eq!(change.traceparent.len(), trace.len());

    for broken in ["", "00-xyz", "\u{1b}[31m"] {
        let text = format!("with trace {broken:?}");
        alice.call(json!({ "traceparent": broken, "setSelfStatus": { "custom": text } })).await.ok();
        let change = notifier.change(|change| change.custom == text).await;
        assert!(!change.traceparent.contains(trace) && !change.traceparent.contains('\u{1b}'), "{change:?}");
    }
}

// DESIGN section 5
#[tokio::test]
async fn the_notifier_tells_changes_of_the_interest_and_of_nobody_else() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    let mut notifier = Attached::open(&rollcall).await;
    notifier.ask_for(1, app.id, &["alice", "last"]).await;

    let mut alice = app.session("alice", "d").await;
    let mut namesake = other.session("alice", "d").await;
    namesake.set("of another app").await.ok();
    let _bob = app.session("bob", "d").await;
    let set = alice.set("heard").await.ok().status();
    alice.subscribe(&["bob"]).await.ok();
    let _last = app.session("last", "d").await;

    let status = notifier.change(|change| change.custom == "heard").await;
    assert_eq!((status.app_id, status.user_id.as_str()), (app.id, "alice"));
    assert_eq!((status.status_version, status.general()), (set.version, GeneralStatus::Online));
    assert!(status.previous_status_version < status.status_version);
    let list = notifier.change(|change| change.kind() == ChangeKind::List).await;
    assert_eq!((list.app_id, list.user_id.as_str()), (app.id, "alice"));
    notifier.change(|change| change.user_id == "last").await;
    for change in notifier.heard {
        assert!(change.app_id == app.id && change.user_id != "bob", "{change:?}");
    }
}

// SPEC K, D1, D3, E1, C3
#[tokio::test]
async fn services_refuse_over_grpc_with_the_same_codes() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut presence, mut subscription) = (rollcall.presence(), rollcall.subscription());
    let number = |status: tonic::Status| refusal::from_status(&status).code.number();
    let user = || "alice".to_owned();

    let (app_id, user_id) = (app.id, user());
    let query = GetUserStatusRequest { app_id, user_ids: ids("u", 501), ..Default::default() };
    assert_eq!(number(presence.get_user_status(query).await.unwrap_err()), 6017);
    let query = GetUserStatusRequest { app_id, user_ids: vec!["\n".to_owned()], ..Default::default() };
    assert_eq!(number(presence.get_user_status(query).await.unwrap_err()), 6003);
    for (target_ids, code) in
        [(ids("u", 101), 6017), (vec![], 6017), (vec![user()], 6017), (vec!["\n".to_owned()], 7003)]
    {
        let subscribe = SubscribeRequest { app_id, user_id: user(), target_ids, not_after: 0 };
        assert_eq!(number(subscription.subscribe(subscribe).await.unwrap_err()), code);
    }
    let unsubscribe = UnsubscribeRequest { app_id, user_id: user(), target_ids: ids("u", 101), not_after: 0 };
    assert_eq!(number(subscription.unsubscribe(unsubscribe).await.unwrap_err()), 6017);
    let list = ListSubscriptionsRequest { app_id, user_id, online: false };
    assert_eq!(subscription.list_subscriptions(list).await.unwrap().into_inner().target_ids, [""; 0]);
}
