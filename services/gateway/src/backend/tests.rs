//! Tests of what is sent, to a presence that only listens.

use std::sync::Arc;

use parking_lot::Mutex;
use rollcall_domain::id::BootId;
use rollcall_proto::presence::v1::{
    GetStatusVersionsResponse, GetUserStatusResponse, LogoutResponse, RefreshTokenResponse,
    SetSelfStatusResponse,
    presence_service_server::{PresenceService, PresenceServiceServer},
};
use rollcall_runtime::{
    Clock,
    config::Profile,
    grpc::{self, Listener},
    metrics::Registry,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status as Refused, service::Routes};

use super::*;
use crate::{Config, Gateway, metrics::Metrics};

/// Notes the sets that come, and whether they say that they were sent before; answers all but the first.
#[derive(Clone, Default)]
struct Listening(Arc<Mutex<Vec<(SetSelfStatusRequest, bool)>>>);

#[tonic::async_trait]
impl PresenceService for Listening {
    async fn set_self_status(
        &self,
        request: Request<SetSelfStatusRequest>,
    ) -> Result<Response<SetSelfStatusResponse>, Refused> {
        let mut sets = self.0.lock();
        let again = again::is_marked(request.metadata());
        sets.push((request.into_inner(), again));
        if sets.len() == 1 {
            return Err(Refused::unavailable("lost on its way"));
        }
        Ok(Response::new(SetSelfStatusResponse { status: Some(UserStatus::default()), set_version: 0 }))
    }

    async fn login(&self, _: Request<LoginRequest>) -> Result<Response<LoginResponse>, Refused> {
        Err(Refused::unimplemented("not in these tests"))
    }

    async fn refresh_token(
        &self,
        _: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Refused> {
        Err(Refused::unimplemented("not in these tests"))
    }

    async fn logout(&self, _: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Refused> {
        Err(Refused::unimplemented("not in these tests"))
    }

    async fn get_user_status(
        &self,
        _: Request<GetUserStatusRequest>,
    ) -> Result<Response<GetUserStatusResponse>, Refused> {
        Err(Refused::unimplemented("not in these tests"))
    }

    async fn get_status_versions(
        &self,
        _: Request<GetStatusVersionsRequest>,
    ) -> Result<Response<GetStatusVersionsResponse>, Refused> {
        Err(Refused::unimplemented("not in these tests"))
    }
}

// FAULT 25
#[tokio::test]
async fn a_set_that_is_tried_elsewhere_is_the_same_command_with_the_same_last_moment() {
    let listening = Listening::default();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}", listener.local_addr());
    let routes = Routes::new(PresenceServiceServer::new(listening.clone()));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(grpc::serve(listener, routes, &[], stop.clone()));
    let endpoints = || Endpoints::new(&format!("{url},{url}"), Clock::new()).unwrap();
    let config = Config::profile(Profile::Default);
    let backend = Backend::new(endpoints(), endpoints(), config.call_timeout);
    let gateway = Gateway::new(config, Clock::new(), backend, Metrics::new(&Registry::default()));
    let (trace, key) = (TraceParent::default(), (AppId::new(7).unwrap(), UserId::new("alice").unwrap()));
    assert_eq!(gateway.change(&trace, key).not_after, 0, "no reply has told the store's clock");
    let minute = Duration::from_secs(60);
    assert!(gateway.moment_in(minute).is_err(), "nor can a moment be told by it");
    gateway.hear_store(1_000_000_000, gateway.clock.monotonic());

    let change = gateway.change(&trace, key);
    let session = SessionId { boot: BootId(1), counter: 2 };
    let clear_at = gateway.moment_in(minute).unwrap();
    assert!(clear_at.0 >= 1_060_000_000, "{clear_at:?}");
    gateway.backend.set_self_status(change, session, Op(3), "busy".to_owned(), Some(clear_at)).await.unwrap();

    let sets = std::mem::take(&mut *listening.0.lock());
    let [(first, first_again), (second, second_again)] = sets.try_into().unwrap();
    assert_eq!(first, second);
    assert_eq!((first_again, second_again), (false, true));
    assert_eq!((first.op, first.not_after, first.clear_at), (3, change.not_after, clear_at.0));
    assert!(first.not_after >= 1_003_000_000, "{}", first.not_after);
    stop.cancel();
    serving.await.unwrap().unwrap();
}
