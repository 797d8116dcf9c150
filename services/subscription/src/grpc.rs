//! The calls of subscription over gRPC: parse, call, reply.

mod friend;

use rollcall_domain::{
    code::Refusal,
    id::{AppId, UserId},
};
use rollcall_proto::{
    again, convert,
    subscription::v1::{
        GetFriendsRequest, GetFriendsResponse, GetListVersionsRequest, GetListVersionsResponse,
        ListSubscriptionsRequest, ListSubscriptionsResponse, SubscribeRequest, SubscribeResponse,
        UnsubscribeRequest, UnsubscribeResponse, friend_service_server,
        subscription_service_server::{self, SubscriptionService},
    },
    trace::TraceParent,
};
use rollcall_records::{Call, Error as RecordError};
use tonic::{Request, Response, Status};

use crate::{
    error::failed,
    friends::Friends,
    metrics::{Method, Metrics},
    subscriptions::Subscriptions,
};

/// The names of what is served, for health.
pub(crate) const SERVICE_NAMES: [&str; 2] =
    [subscription_service_server::SERVICE_NAME, friend_service_server::SERVICE_NAME];

/// The calls about the lists of a user, for gateways: those that change subscriptions, and those that read.
pub(crate) struct ListCalls {
    pub(crate) subscriptions: Subscriptions,
    pub(crate) friends: Friends,
}

#[tonic::async_trait]
impl SubscriptionService for ListCalls {
    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<SubscribeResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let again = again::is_marked(request.metadata());
        let SubscribeRequest { app_id, user_id, target_ids, not_after } = request.into_inner();
        let call = async {
            let (app, user) = owner(app_id, &user_id)?;
            let call = Call { again, ..Call::until(&trace, convert::moment(not_after)) };
            self.subscriptions.subscribe(app, &user, &target_ids, call).await
        };
        let revised = self.counted(Method::Subscribe, call.await)?;
        Ok(Response::new(SubscribeResponse {
            version: revised.version.0,
            previous_version: revised.previous_version.0,
            added: to_wire(&revised.value.added),
            evicted: to_wire(&revised.value.evicted),
        }))
    }

    async fn unsubscribe(
        &self,
        request: Request<UnsubscribeRequest>,
    ) -> Result<Response<UnsubscribeResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let again = again::is_marked(request.metadata());
        let UnsubscribeRequest { app_id, user_id, target_ids, not_after } = request.into_inner();
        let call = async {
            let (app, user) = owner(app_id, &user_id)?;
            let call = Call { again, ..Call::until(&trace, convert::moment(not_after)) };
            self.subscriptions.unsubscribe(app, &user, &target_ids, call).await
        };
        let revised = self.counted(Method::Unsubscribe, call.await)?;
        Ok(Response::new(UnsubscribeResponse {
            version: revised.version.0,
            previous_version: revised.previous_version.0,
            removed: to_wire(&revised.value),
        }))
    }

    async fn list_subscriptions(
        &self,
        request: Request<ListSubscriptionsRequest>,
    ) -> Result<Response<ListSubscriptionsResponse>, Status> {
        let ListSubscriptionsRequest { app_id, user_id, online } = request.into_inner();
        let call = async {
            let (app, user) = owner(app_id, &user_id)?;
            self.subscriptions.list(app, &user, online).await
        };
        let held = self.counted(Method::List, call.await)?;
        let target_ids = to_wire(held.list.ids());
        Ok(Response::new(ListSubscriptionsResponse { version: held.version.0, target_ids }))
    }

    async fn get_friends(
        &self,
        request: Request<GetFriendsRequest>,
    ) -> Result<Response<GetFriendsResponse>, Status> {
        let GetFriendsRequest { app_id, user_id } = request.into_inner();
        let call = async {
            let (app, user) = owner(app_id, &user_id)?;
            self.friends.all(app, &user).await
        };
        let held = self.counted(Method::GetFriends, call.await)?;
        let friend_ids = to_wire(held.list.ids());
        Ok(Response::new(GetFriendsResponse { version: held.version.0, friend_ids }))
    }

    async fn get_list_versions(
        &self,
        request: Request<GetListVersionsRequest>,
    ) -> Result<Response<GetListVersionsResponse>, Status> {
        let GetListVersionsRequest { app_id, user_ids } = request.into_inner();
        let call = async {
            let (app, users) = (convert::app_id(app_id)?, convert::read_ids(&user_ids)?);
            let (subscriptions, friends) = (&self.subscriptions.lists, &self.friends.lists);
            futures_util::try_join!(subscriptions.versions(app, &users), friends.versions(app, &users))
        };
        let (versions, friend_versions) = self.counted(Method::Versions, call.await)?;
        let versions = versions.into_iter().map(|version| version.0).collect();
        let friend_versions = friend_versions.into_iter().map(|version| version.0).collect();
        Ok(Response::new(GetListVersionsResponse { versions, friend_versions }))
    }
}

impl ListCalls {
    fn counted<T>(&self, method: Method, result: Result<T, RecordError>) -> Result<T, Status> {
        counted(&self.subscriptions.metrics, method, result)
    }
}

/// Counts a call, and writes what its caller is told if it failed.
fn counted<T>(metrics: &Metrics, method: Method, result: Result<T, RecordError>) -> Result<T, Status> {
    let refusal = result.as_ref().err().map(RecordError::refusal);
    metrics.called(method, refusal.as_ref());
    result.map_err(|error| failed(&error))
}

/// Reads whose list a call is about.
fn owner(app: u32, user: &str) -> Result<(AppId, UserId), Refusal> {
    Ok((convert::app_id(app)?, convert::user_id(user)?))
}

fn to_wire<'a>(ids: impl IntoIterator<Item = &'a UserId>) -> Vec<String> {
    ids.into_iter().map(|id| id.as_str().to_owned()).collect()
}
