//! Who may call the services of a cluster: certificates say who is who (DESIGN section 7).

use rollcall_harness::{Certs, Deployment, Rollcall, eventually};
use rollcall_proto::{
    admin::v1::{GetAppRequest, admin_service_client::AdminServiceClient},
    event::v1::{FollowRequest, event_service_client::EventServiceClient},
    gateway::v1::{RegisterRequest, gateway_service_client::GatewayServiceClient},
    notifier::v1::{AttachRequest, notifier_service_client::NotifierServiceClient},
    presence::v1::{
        GetUserStatusRequest, KickUserRequest, presence_service_client::PresenceServiceClient,
        user_service_client::UserServiceClient,
    },
    role::Role,
    subscription::v1::{
        ListFriendsRequest, ListSubscriptionsRequest, friend_service_client::FriendServiceClient,
        subscription_service_client::SubscriptionServiceClient,
    },
};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

async fn cluster() -> Rollcall {
    Rollcall::builder().deployment(Deployment::Cluster).start().await
}

fn certs(rollcall: &Rollcall) -> &Certs {
    rollcall.addresses().certs.as_ref().expect("a cluster has certificates")
}

async fn health(channel: Channel) -> Result<(), Status> {
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.map(drop)
}

/// Checks that a call ended with its connection, and not by an answer.
fn assert_cut(what: &str, ended: Result<(), Status>) {
    let status = ended.expect_err(what);
    let lost = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
    assert!(lost && status.details().is_empty(), "{what}: {status:?}");
}

/// Calls a service whose name begins like this, and returns whether the caller's role was refused.
async fn refuses(channel: Channel, service: &str) -> bool {
    let user = || (1, "alice".to_owned());
    let ended = match service {
        "admin" => AdminServiceClient::new(channel).get_app(GetAppRequest { app_id: 1 }).await.map(drop),
        "gateway" => GatewayServiceClient::new(channel).register(RegisterRequest {}).await.map(drop),
        "presence" => {
            let (app_id, user_id) = user();
            let request = GetUserStatusRequest { app_id, user_ids: vec![user_id], ..Default::default() };
            PresenceServiceClient::new(channel).get_user_status(request).await.map(drop)
        }
        "user" => {
            let (app_id, user_id) = user();
            let request = KickUserRequest { app_id, user_id };
            UserServiceClient::new(channel).kick_user(request).await.map(drop)
        }
        "subscription" => {
            let (app_id, user_id) = user();
            let request = ListSubscriptionsRequest { app_id, user_id, online: false };
            SubscriptionServiceClient::new(channel).list_subscriptions(request).await.map(drop)
        }
        "friend" => {
            let (app_id, user_id) = user();
            let request = ListFriendsRequest { app_id, user_id, ..ListFriendsRequest::default() };
            FriendServiceClient::new(channel).list_friends(request).await.map(drop)
        }
        "notifier" => {
            let nothing = tokio_stream::empty::<AttachRequest>();
            NotifierServiceClient::new(channel).attach(nothing).await.map(drop)
        }
        "event" => EventServiceClient::new(channel).follow(FollowRequest::default()).await.map(drop),
        other => panic!("{other} is no service"),
    };
    ended.is_err_and(|status| {
        status.code() == Code::PermissionDenied && status.message().contains("the certificate names")
    })
}

// ATTACK X15
#[tokio::test]
async fn a_peer_without_a_certificate_or_with_a_strangers_is_refused_by_each_process_of_a_cluster() {
    let rollcall = cluster().await;
    let certs = certs(&rollcall);
    let folder = rollcall.folder().join("stranger");
    let stranger = Certs::make(&folder);
    let processes: Vec<(&str, &str)> = rollcall.grpc().collect();
    assert_eq!(processes.len(), 8);
    for (service, address) in processes {
        let role: Role = service.parse().unwrap();
        for caller in Role::ALL {
            health(certs.channel(role, address, Some((certs, caller)))).await.expect(service);
            let foreign = certs.channel(role, address, Some((&stranger, caller)));
            assert_cut(&format!("{service}, of a stranger's {caller}"), health(foreign).await);
        }
        assert_cut(service, health(certs.channel(role, address, None)).await);
        // Nor is the process taken for another, or by who trusts another authority.
        let other = if role == Role::Gateway { Role::Presence } else { Role::Gateway };
        let mistaken = certs.channel(other, address, Some((certs, Role::Gateway)));
        assert_cut(&format!("{service} as {other}"), health(mistaken).await);
        let distrusted = stranger.channel(role, address, Some((certs, Role::Gateway)));
        assert_cut(&format!("{service} by a stranger"), health(distrusted).await);
    }
}

// ATTACK X15
#[tokio::test]
async fn each_service_of_a_cluster_is_for_its_callers_alone() {
    let rollcall = cluster().await;
    let addresses = rollcall.addresses();
    for (server, service, callers) in [
        (Role::Presence, "admin", &[Role::Operator][..]),
        (Role::Presence, "gateway", &[Role::Gateway]),
        (Role::Presence, "presence", &[Role::Gateway, Role::Backend]),
        (Role::Presence, "user", &[Role::Backend, Role::Operator]),
        (Role::Subscription, "subscription", &[Role::Gateway, Role::Backend]),
        (Role::Subscription, "friend", &[Role::Backend, Role::Operator]),
        (Role::Notifier, "notifier", &[Role::Gateway]),
        (Role::Notifier, "event", &[Role::Backend, Role::Operator]),
    ] {
        for caller in Role::ALL {
            let refused = refuses(addresses.channel(server, caller), service).await;
            assert_eq!(refused, !callers.contains(&caller), "{service} called by {caller}");
        }
    }
}

// ATTACK X15
#[tokio::test]
async fn an_operator_reaches_a_cluster_with_certificates_and_is_told_what_is_wrong_without() {
    let rollcall = cluster().await;
    let app = rollcall.app().await.id.to_string();
    let (https, http) =
        (format!("https://{}", rollcall.addresses().admin), format!("http://{}", rollcall.addresses().admin));
    let show = ["app", "show", "--app-id", &app, "--output", "json"];
    let options = certs(&rollcall).options();
    let with = |admin: &str, options: &[String]| -> Vec<String> {
        let words = show.iter().copied().chain(["--admin", admin]).map(str::to_owned);
        words.chain(options.iter().cloned()).collect()
    };
    let backend: Vec<String> = options.iter().map(|word| word.replace("operator", "backend")).collect();
    for (name, arguments, code, said) in [
        ("right", with(&https, &options), 0, ""),
        ("without", with(&https, &[]), 2, "expected --ca, --cert and --cert-key with it"),
        ("some", with(&https, &options[..2]), 2, "--cert"),
        ("clear", with(&http, &options), 2, "expected https:// with --ca"),
        ("clear-without", with(&http, &[]), 3, "cannot be reached"),
        ("backend", with(&https, &backend), 1, "the certificate names backend, expected operator"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut ctl = rollcall.ctl(name, &arguments);
        eventually(&format!("rollcallctl to end, {name}"), async || ctl.ended().is_some()).await;
        let (status, errors) = (ctl.ended().unwrap(), ctl.errors());
        assert_eq!(status.code(), Some(code), "{name}: {errors}");
        assert!(errors.contains(said), "{name}: {errors}");
    }
}
