//! Tests of the whole service, over gRPC and the memory bus.

use std::time::Duration;

use prost::Message as _;
use rollcall_bus::memory::MemoryBus;
use rollcall_domain::{
    app::{Edition, Settings},
    code::Code,
    id::AppId,
};
use rollcall_proto::{
    again,
    event::v1::{Change, ChangeKind},
    refusal,
    subscription::v1::{
        AddFriendsRequest, FriendEdge, GetFriendsRequest, GetListVersionsRequest, ImportFriendsRequest,
        ListFriendsRequest, ListSubscriptionsRequest, RemoveFriendsRequest, SubscribeRequest,
        UnsubscribeRequest, friend_service_client::FriendServiceClient,
        subscription_service_client::SubscriptionServiceClient,
    },
};
use rollcall_runtime::{
    Clock,
    config::{Profile, Validate as _},
    ops::Ops,
};
use rollcall_store::{MemoryStore, Partitions};
use tokio::time::timeout;

use super::*;

/// Generous: a busy machine must not fail a test.
const LIMIT: Duration = Duration::from_secs(30);

async fn store_with_app() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new(Partitions::EMBEDDED, Clock::store_clock()));
    let settings = Settings { edition: Edition::Premium, status: true, ..Settings::default() };
    let apps = Apps::new(store.clone(), Arc::new(|| Duration::ZERO));
    apps.create(AppId::new(7).unwrap(), "test", settings, Vec::new()).await.unwrap();
    store
}

#[tokio::test]
async fn a_list_is_changed_and_read_over_grpc_and_told_on_the_bus() {
    let bus = MemoryBus::new(Clock::store_clock());
    let mut changes = bus.subscribe_status().await.unwrap();
    let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::profile(Profile::Default) };
    let service = Service::bind(
        &config,
        &Tls::off(),
        store_with_app().await,
        Arc::new(bus),
        Clock::new(),
        &Ops::default(),
    )
    .unwrap();
    let channel = server::channel(&format!("http://{}", service.local_addr())).unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(service.run(shutdown.clone()));
    let mut client = SubscriptionServiceClient::new(channel);

    let subscribe = |targets: &[&str]| SubscribeRequest {
        app_id: 7,
        user_id: "me".to_owned(),
        target_ids: targets.iter().map(|id| (*id).to_owned()).collect(),
        not_after: 0,
    };
    let subscribed = client.subscribe(subscribe(&["a", "b"])).await.unwrap().into_inner();
    assert_eq!((subscribed.added, subscribed.previous_version), (vec!["a".to_owned(), "b".to_owned()], 0));
    let message = timeout(LIMIT, changes.messages.recv()).await.unwrap().unwrap();
    let change = Change::decode(message.payload).unwrap();
    assert_eq!((change.kind(), change.user_id.as_str()), (ChangeKind::List, "me"));
    assert_eq!(change.record_version, subscribed.version);

    let refused = client.subscribe(subscribe(&["me"])).await.unwrap_err();
    assert_eq!(refusal::from_status(&refused).code, Code::InvalidParameter);
    let unsubscribe =
        UnsubscribeRequest { target_ids: vec!["a".to_owned()], ..UnsubscribeRequest::default() };
    let refused = client.unsubscribe(unsubscribe.clone()).await.unwrap_err();
    assert_eq!(refusal::from_status(&refused).code, Code::InvalidParameter, "no app");
    let unsubscribe = UnsubscribeRequest { app_id: 7, user_id: "me".to_owned(), ..unsubscribe };
    let unsubscribed = client.unsubscribe(unsubscribe.clone()).await.unwrap().into_inner();
    assert_eq!(unsubscribed.removed, ["a"]);
    assert_eq!(unsubscribed.previous_version, subscribed.version);

    let late = SubscribeRequest { not_after: 1, ..subscribe(&["c"]) };
    let refused = client.subscribe(late).await.unwrap_err();
    assert_eq!(refusal::from_status(&refused).code, Code::Timeout);
    let late = UnsubscribeRequest { not_after: 1, target_ids: Vec::new(), ..unsubscribe };
    let refused = client.unsubscribe(late).await.unwrap_err();
    assert_eq!(refusal::from_status(&refused).code, Code::Timeout);

    let list = ListSubscriptionsRequest { app_id: 7, user_id: "me".to_owned(), online: false };
    let list = client.list_subscriptions(list).await.unwrap().into_inner();
    assert_eq!((list.target_ids, list.version), (vec!["b".to_owned()], unsubscribed.version));

    let versions = |ids: &[&str]| GetListVersionsRequest {
        app_id: 7,
        user_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let read = client.get_list_versions(versions(&["nobody", "me", "nobody"])).await.unwrap().into_inner();
    assert_eq!(read.versions, [0, unsubscribed.version, 0]);
    for (malformed, code) in [(&[][..], Code::InvalidParameter), (&["me", "a\n"][..], Code::BadUserId)] {
        let refused = client.get_list_versions(versions(malformed)).await.unwrap_err();
        assert_eq!(refusal::from_status(&refused).code, code);
    }
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

// SPEC D1, E1
#[tokio::test]
async fn a_call_that_says_it_was_sent_before_counts_against_no_window() {
    // So long that no machine is too slow for it.
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        window: Duration::from_hours(1),
        ..Config::profile(Profile::Default)
    };
    let (store, bus) = (store_with_app().await, Arc::new(MemoryBus::new(Clock::store_clock())));
    let service = Service::bind(&config, &Tls::off(), store, bus, Clock::new(), &Ops::default()).unwrap();
    let channel = server::channel(&format!("http://{}", service.local_addr())).unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(service.run(shutdown.clone()));
    let mut client = SubscriptionServiceClient::new(channel);

    let of = |again| {
        let (user_id, target_ids) = ("me".to_owned(), vec!["a".to_owned()]);
        let subscribe = SubscribeRequest { app_id: 7, user_id, target_ids, not_after: 0 };
        let mut request = tonic::Request::new(subscribe);
        if again {
            again::mark(request.metadata_mut());
        }
        request
    };
    for _ in 0..30 {
        client.subscribe(of(true)).await.unwrap();
    }
    for _ in 0..20 {
        client.subscribe(of(false)).await.unwrap();
    }
    let refused = refusal::from_status(&client.subscribe(of(false)).await.unwrap_err());
    assert_eq!(refused.code, Code::RateLimit);
    assert!(refused.retry_after.is_some_and(|wait| wait <= config.window));
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

// SPEC I1
#[tokio::test]
async fn friends_are_changed_and_read_over_grpc_and_told_on_the_bus() {
    let bus = MemoryBus::new(Clock::store_clock());
    let mut changes = bus.subscribe_status().await.unwrap();
    let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::profile(Profile::Default) };
    let (store, bus) = (store_with_app().await, Arc::new(bus));
    let service = Service::bind(&config, &Tls::off(), store, bus, Clock::new(), &Ops::default()).unwrap();
    let channel = server::channel(&format!("http://{}", service.local_addr())).unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(service.run(shutdown.clone()));
    let mut friends = FriendServiceClient::new(channel.clone());
    let mut lists = SubscriptionServiceClient::new(channel);

    let (app_id, user_id) = (7, "me".to_owned());
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let add = AddFriendsRequest { app_id, user_id: user_id.clone(), friend_ids: ids(&["b", "a"]) };
    assert_eq!(friends.add_friends(add).await.unwrap().into_inner().added, ["b", "a"]);
    let message = timeout(LIMIT, changes.messages.recv()).await.unwrap().unwrap();
    let change = Change::decode(message.payload).unwrap();
    assert_eq!((change.kind(), change.user_id.as_str()), (ChangeKind::Friends, "me"));

    let get = GetFriendsRequest { app_id, user_id: user_id.clone() };
    let held = lists.get_friends(get).await.unwrap().into_inner();
    assert_eq!((held.friend_ids, held.version), (ids(&["a", "b"]), change.record_version));
    let versions = GetListVersionsRequest { app_id, user_ids: ids(&["a", "me"]) };
    let read = lists.get_list_versions(versions).await.unwrap().into_inner();
    assert_eq!((read.versions, read.friend_versions), (vec![0, 0], vec![0, held.version]));

    let edge = |user_id: &str, friend_id: &str| {
        let (user_id, friend_id) = (user_id.to_owned(), friend_id.to_owned());
        FriendEdge { user_id, friend_id }
    };
    let edges = vec![edge("me", "c"), edge("me", ""), edge("me", "a")];
    let results =
        friends.import_friends(ImportFriendsRequest { app_id, edges }).await.unwrap().into_inner().results;
    let told: Vec<_> = results.iter().map(|result| (result.code, result.added)).collect();
    assert_eq!(told, [(0, true), (7003, false), (0, false)]);
    assert_eq!((results[0].message.as_str(), results[1].message.is_empty()), ("", false));

    let remove = RemoveFriendsRequest { app_id, user_id: user_id.clone(), friend_ids: ids(&["x", "b"]) };
    assert_eq!(friends.remove_friends(remove).await.unwrap().into_inner().removed, ["b"]);
    let list = ListFriendsRequest { app_id, user_id, page_size: 1, page_token: String::new() };
    let page = friends.list_friends(list.clone()).await.unwrap().into_inner();
    assert_eq!((page.friend_ids, page.total), (ids(&["a"]), 2));
    let rest = ListFriendsRequest { page_token: page.next_page_token, ..list };
    let page = friends.list_friends(rest).await.unwrap().into_inner();
    assert_eq!((page.friend_ids, page.next_page_token, page.total), (ids(&["c"]), String::new(), 2));
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

#[test]
fn both_profiles_are_valid() {
    for profile in [Profile::Default, Profile::Fast] {
        assert_eq!(Config::profile(profile).faults(), Vec::<String>::new());
    }
}
