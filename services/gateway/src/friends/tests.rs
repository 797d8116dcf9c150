//! Tests of loading friends, from services that count the calls on their way.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use rollcall_domain::id::DeviceId;
use rollcall_proto::{
    common::v1::{GeneralStatus, UserStatus},
    presence::v1::{
        GetStatusVersionsRequest, GetStatusVersionsResponse, GetUserStatusRequest, GetUserStatusResponse,
        LoginRequest, LoginResponse, LogoutRequest, LogoutResponse, RefreshTokenRequest,
        RefreshTokenResponse, SetSelfStatusRequest, SetSelfStatusResponse,
        presence_service_server::{PresenceService, PresenceServiceServer},
    },
    subscription::v1::{
        GetFriendsRequest, GetFriendsResponse, GetListVersionsRequest, GetListVersionsResponse,
        ListSubscriptionsRequest, ListSubscriptionsResponse, SubscribeRequest, SubscribeResponse,
        UnsubscribeRequest, UnsubscribeResponse,
        subscription_service_server::{SubscriptionService, SubscriptionServiceServer},
    },
};
use rollcall_runtime::{
    Clock,
    clock::Monotonic,
    config::Profile,
    grpc::{self, Endpoints, Listener},
    metrics::Registry,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status, service::Routes};

use super::*;
use crate::{
    Config,
    backend::Backend,
    codec::Codec,
    hub::{LoginRecord, SessionHandle},
    metrics::Metrics,
};

/// Friends of each user, among [`OTHERS`] others.
const FRIENDS: usize = 300;
const OTHERS: usize = 2_000;
/// How long to wait for what should happen.
const LIMIT: Duration = Duration::from_mins(3);

/// Answers for presence and subscription: each user has [`FRIENDS`] friends, and everybody is online.
#[derive(Clone)]
struct Services(Arc<Counted>);

struct Counted {
    /// Calls on their way, and the most there ever were.
    calls: watch::Sender<usize>,
    most: AtomicUsize,
    /// Answers wait until so many calls are on their way, once.
    gathers: usize,
    gathered: AtomicBool,
    /// Reads of friends, and how many of the first are answered with an error.
    friend_reads: watch::Sender<usize>,
    failing: AtomicUsize,
}

impl Services {
    fn new(gathers: usize, failing: usize) -> Self {
        Self(Arc::new(Counted {
            calls: watch::Sender::new(0),
            most: AtomicUsize::new(0),
            gathers,
            gathered: AtomicBool::new(false),
            friend_reads: watch::Sender::new(0),
            failing: AtomicUsize::new(failing),
        }))
    }

    async fn counted<T>(&self, answer: T) -> T {
        let counted = &*self.0;
        counted.calls.send_modify(|calls| {
            *calls += 1;
            counted.most.fetch_max(*calls, Ordering::Relaxed);
        });
        let mut calls = counted.calls.subscribe();
        let gathered = |calls: &usize| *calls >= counted.gathers || counted.gathered.load(Ordering::Relaxed);
        calls.wait_for(gathered).await.unwrap();
        counted.gathered.store(true, Ordering::Relaxed);
        // Whoever comes too many comes now.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        counted.calls.send_modify(|calls| *calls -= 1);
        answer
    }
}

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in these tests"))
}

#[tonic::async_trait]
impl SubscriptionService for Services {
    async fn get_friends(
        &self,
        request: Request<GetFriendsRequest>,
    ) -> Result<Response<GetFriendsResponse>, Status> {
        let user = request.into_inner().user_id;
        let number: usize = user.trim_start_matches('u').parse().unwrap();
        let friend_ids = (0..FRIENDS).map(|n| format!("t{}", (number * 7 + n) % OTHERS)).collect();
        let counted = &*self.0;
        let is_failing =
            counted.failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let response = self.counted(GetFriendsResponse { version: 1, friend_ids }).await;
        counted.friend_reads.send_modify(|reads| *reads += 1);
        if is_failing.is_ok() { Err(Status::internal("broken")) } else { Ok(Response::new(response)) }
    }

    async fn subscribe(&self, _: Request<SubscribeRequest>) -> Result<Response<SubscribeResponse>, Status> {
        not_here()
    }

    async fn unsubscribe(
        &self,
        _: Request<UnsubscribeRequest>,
    ) -> Result<Response<UnsubscribeResponse>, Status> {
        not_here()
    }

    async fn list_subscriptions(
        &self,
        _: Request<ListSubscriptionsRequest>,
    ) -> Result<Response<ListSubscriptionsResponse>, Status> {
        not_here()
    }

    async fn get_list_versions(
        &self,
        _: Request<GetListVersionsRequest>,
    ) -> Result<Response<GetListVersionsResponse>, Status> {
        not_here()
    }
}

#[tonic::async_trait]
impl PresenceService for Services {
    async fn get_user_status(
        &self,
        request: Request<GetUserStatusRequest>,
    ) -> Result<Response<GetUserStatusResponse>, Status> {
        let ids = request.into_inner().user_ids;
        assert!(ids.len() <= rollcall_proto::convert::READ_IDS);
        let online = |user_id| UserStatus {
            user_id,
            general: GeneralStatus::Online as i32,
            version: 1,
            ..UserStatus::default()
        };
        let statuses = ids.into_iter().map(online).collect();
        Ok(Response::new(
            self.counted(GetUserStatusResponse { statuses, ..GetUserStatusResponse::default() }).await,
        ))
    }

    async fn login(&self, _: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        not_here()
    }

    async fn refresh_token(
        &self,
        _: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        not_here()
    }

    async fn logout(&self, _: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        not_here()
    }

    async fn set_self_status(
        &self,
        _: Request<SetSelfStatusRequest>,
    ) -> Result<Response<SetSelfStatusResponse>, Status> {
        not_here()
    }

    async fn get_status_versions(
        &self,
        _: Request<GetStatusVersionsRequest>,
    ) -> Result<Response<GetStatusVersionsResponse>, Status> {
        not_here()
    }
}

/// A gateway that loads friends from services that count, with a notifier that acknowledges all at once.
struct Scene {
    gateway: Arc<Gateway>,
    services: Services,
    tasks: JoinSet<()>,
}

impl Scene {
    fn start(services: Services) -> Self {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("http://{}", listener.local_addr());
        let routes = Routes::new(PresenceServiceServer::new(services.clone()))
            .add_service(SubscriptionServiceServer::new(services.clone()));
        let endpoints = || Endpoints::new(&url, Clock::new()).unwrap();
        let config = Config::profile(Profile::Default);
        let backend = Backend::new(endpoints(), endpoints(), LIMIT);
        let gateway = Gateway::new(config, Clock::new(), backend, Metrics::new(&Registry::default()));
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let serving = grpc::serve(listener, routes, &[], stop.clone());
        tasks.spawn(async move { serving.await.unwrap() });
        tasks.spawn(run(Arc::clone(&gateway), stop));
        let notified = Arc::clone(&gateway);
        tasks.spawn(async move {
            loop {
                let batch = notified.hub.interest.next().await;
                notified.hub.interest.acknowledge(batch.number);
            }
        });
        Self { gateway, services, tasks }
    }

    fn login(&self, number: usize) -> Arc<SessionHandle> {
        let hub = &self.gateway.hub;
        let device = DeviceId::new("d").unwrap();
        let record = LoginRecord { platform: 7, device, order: 5, place: 3, bare_since: 0 };
        let never = Monotonic(u64::MAX);
        let (key, counter) =
            ((app(), UserId::new(&format!("u{number}")).unwrap()), hub.begin_login().counter);
        hub.add_session(key, counter, record, Codec::Json, Monotonic(0), never)
    }

    fn switch(&self, friend_status: bool, version: u64) {
        let settings = Settings { status: true, friend_status, ..Settings::default() };
        self.gateway.set_settings(app(), settings, version);
    }

    /// Waits until a user is shown all friends.
    async fn loaded(&self, key: &UserKey) {
        let loaded = async {
            while self.gateway.hub.friends_due(key) || !self.gateway.hub.unsynced(key).0.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, loaded).await.unwrap();
    }
}

fn app() -> AppId {
    AppId::new(1).unwrap()
}

// SPEC G1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_friends_of_all_who_are_here_are_loaded_a_few_at_a_time() {
    const USERS: usize = 2_000;
    let scene = Scene::start(Services::new(LOADS_AT_ONCE, 0));
    let sessions: Vec<_> = (0..USERS).map(|number| scene.login(number)).collect();
    assert_eq!(scene.gateway.hub.edges(), 0);

    scene.switch(true, 1);

    for session in &sessions {
        scene.loaded(&session.key).await;
    }
    assert_eq!(scene.gateway.hub.edges(), USERS * FRIENDS);
    assert_eq!(scene.services.0.most.load(Ordering::Relaxed), LOADS_AT_ONCE);
    assert_eq!(*scene.services.0.friend_reads.borrow(), USERS, "each is read once");
    drop(scene.tasks);
}

#[tokio::test]
async fn a_load_that_fails_is_tried_again() {
    let scene = Scene::start(Services::new(1, 2));
    scene.switch(true, 1);
    let session = scene.login(1);
    scene.gateway.friend_loads.ask_first([session.key]);
    scene.loaded(&session.key).await;
    assert_eq!(*scene.services.0.friend_reads.borrow(), 3);
}

#[tokio::test]
async fn a_load_that_fails_is_given_up_when_the_app_hears_of_friends_no_more_or_the_user_leaves() {
    let scene = Scene::start(Services::new(1, usize::MAX));
    let mut reads = scene.services.0.friend_reads.subscribe();
    scene.switch(true, 1);
    let session = scene.login(1);
    let loading = tokio::spawn(load(Arc::clone(&scene.gateway), session.key));
    reads.wait_for(|reads| *reads >= 2).await.unwrap();
    scene.switch(false, 2);
    tokio::time::timeout(LIMIT, loading).await.unwrap().unwrap();

    scene.switch(true, 3);
    let before = *reads.borrow();
    let loading = tokio::spawn(load(Arc::clone(&scene.gateway), session.key));
    reads.wait_for(|reads| *reads > before).await.unwrap();
    scene.gateway.hub.remove_session(&session, rollcall_domain::user::EndReason::Closed);
    tokio::time::timeout(LIMIT, loading).await.unwrap().unwrap();
}

// SPEC I2
#[tokio::test]
async fn news_go_before_first_reads_and_a_user_waits_in_a_line_once() {
    let user = |name: &str| (app(), UserId::new(name).unwrap());
    let loads = FriendLoads::default();
    loads.ask_first([user("a"), user("b"), user("a")]);
    for _ in 0..2 {
        loads.ask_news(user("b"));
        loads.ask_news(user("c"));
    }
    assert_eq!(loads.waiting(), 4);
    for expected in ["b", "c", "a", "b"] {
        assert_eq!(loads.next().await, user(expected));
    }
    assert_eq!(loads.waiting(), 0);
}
