//! The services behind the gateway, as calls with a deadline each.

use std::time::Duration;

use rollcall_domain::{
    code::Refusal,
    id::{AppId, SessionId, UserId},
    status::{Status, StatusVersion},
};
use rollcall_proto::{
    common::v1::{UserFailure, UserStatus},
    convert,
    gateway::v1::{RegisterRequest, gateway_service_client::GatewayServiceClient},
    presence::v1::{
        GetUserStatusRequest, LoginRequest, LoginResponse, LogoutRequest, SetSelfStatusRequest,
        presence_service_client::PresenceServiceClient,
    },
    refusal,
    subscription::v1::{
        ListSubscriptionsRequest, SubscribeRequest, SubscribeResponse, UnsubscribeRequest,
        UnsubscribeResponse, subscription_service_client::SubscriptionServiceClient,
    },
    trace::TraceParent,
};
use rollcall_runtime::grpc::Traced;
use tonic::transport::Channel;

use crate::hub::UserKey;

/// The greatest number of ids in one read of statuses.
pub(crate) const READ_IDS: usize = 500;

/// Calls to presence and subscription. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    gateway: GatewayServiceClient<Traced>,
    presence: PresenceServiceClient<Traced>,
    subscription: SubscriptionServiceClient<Traced>,
    timeout: Duration,
}

impl Backend {
    /// Makes the clients; they connect when first used.
    pub(crate) fn new(presence: Channel, subscription: Channel, timeout: Duration) -> Self {
        let (presence, subscription) = (Traced::new(presence), Traced::new(subscription));
        Self {
            gateway: GatewayServiceClient::new(presence.clone()),
            presence: PresenceServiceClient::new(presence),
            subscription: SubscriptionServiceClient::new(subscription),
            timeout,
        }
    }

    fn request<T>(&self, trace: &TraceParent, message: T) -> tonic::Request<T> {
        let mut request = trace.request(message);
        request.set_timeout(self.timeout);
        request
    }

    /// Registers this gateway and returns its boot id.
    pub(crate) async fn register(&self) -> Result<u64, Refusal> {
        let request = self.request(&TraceParent::default(), RegisterRequest {});
        Ok(call(self.gateway.clone().register(request)).await?.boot)
    }

    /// Logs a client in.
    pub(crate) async fn login(
        &self,
        trace: &TraceParent,
        login: LoginRequest,
    ) -> Result<LoginResponse, Refusal> {
        call(self.presence.clone().login(self.request(trace, login))).await
    }

    /// Ends a session by logout.
    pub(crate) async fn logout(
        &self,
        trace: &TraceParent,
        key: UserKey,
        session: SessionId,
    ) -> Result<(), Refusal> {
        let (app_id, user_id) = names(key);
        let session = Some(convert::session_to_wire(session));
        let request = self.request(trace, LogoutRequest { app_id, user_id, session });
        call(self.presence.clone().logout(request)).await.map(drop)
    }

    /// Stores a custom status.
    pub(crate) async fn set_self_status(
        &self,
        trace: &TraceParent,
        key: UserKey,
        session: SessionId,
        custom: String,
    ) -> Result<UserStatus, Refusal> {
        let (app_id, user_id) = names(key);
        let session = Some(convert::session_to_wire(session));
        let request = SetSelfStatusRequest { app_id, user_id, session, custom };
        let response = call(self.presence.clone().set_self_status(self.request(trace, request))).await?;
        response.status.ok_or_else(|| internal("presence answered without a status"))
    }

    /// Reads statuses, as they are on the wire.
    pub(crate) async fn get_user_status(
        &self,
        trace: &TraceParent,
        app: AppId,
        user_ids: Vec<String>,
    ) -> Result<(Vec<UserStatus>, Vec<UserFailure>), Refusal> {
        let request = GetUserStatusRequest { app_id: app.get(), user_ids };
        let response = call(self.presence.clone().get_user_status(self.request(trace, request))).await?;
        Ok((response.statuses, response.failures))
    }

    /// Reads statuses of at most [`READ_IDS`] users for ourselves.
    pub(crate) async fn read_statuses(
        &self,
        app: AppId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Status, StatusVersion)>, Refusal> {
        let ids = users.iter().map(|user| user.as_str().to_owned()).collect();
        let (statuses, _) = self.get_user_status(&TraceParent::default(), app, ids).await?;
        statuses.iter().map(convert::status).collect()
    }

    /// Subscribes a user.
    pub(crate) async fn subscribe(
        &self,
        trace: &TraceParent,
        key: UserKey,
        target_ids: Vec<String>,
    ) -> Result<SubscribeResponse, Refusal> {
        let (app_id, user_id) = names(key);
        let request = self.request(trace, SubscribeRequest { app_id, user_id, target_ids });
        call(self.subscription.clone().subscribe(request)).await
    }

    /// Unsubscribes a user.
    pub(crate) async fn unsubscribe(
        &self,
        trace: &TraceParent,
        key: UserKey,
        target_ids: Vec<String>,
    ) -> Result<UnsubscribeResponse, Refusal> {
        let (app_id, user_id) = names(key);
        let request = self.request(trace, UnsubscribeRequest { app_id, user_id, target_ids });
        call(self.subscription.clone().unsubscribe(request)).await
    }

    /// Reads a user's subscription list and its version.
    pub(crate) async fn list(
        &self,
        trace: &TraceParent,
        key: UserKey,
    ) -> Result<(u64, Vec<String>), Refusal> {
        let (app_id, user_id) = names(key);
        let request = self.request(trace, ListSubscriptionsRequest { app_id, user_id });
        let response = call(self.subscription.clone().list_subscriptions(request)).await?;
        Ok((response.version, response.target_ids))
    }
}

async fn call<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Refusal> {
    call.await.map(tonic::Response::into_inner).map_err(|status| refusal::from_status(&status))
}

fn names((app, user): UserKey) -> (u32, String) {
    (app.get(), user.as_str().to_owned())
}

fn internal(message: &'static str) -> Refusal {
    Refusal::new(rollcall_domain::code::Code::Internal, message)
}
