//! The services behind the gateway, as calls with a deadline each.

mod settle;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rollcall_domain::{
    code::Refusal,
    id::{AppId, Op, SessionId, UserId},
    status::StatusVersion,
    time::Timestamp,
};
use rollcall_proto::{
    again,
    common::v1::UserStatus,
    convert,
    gateway::v1::{
        RaiseRequest, RegisterRequest, RegisterResponse, ReportRequest, ReportResponse, Shown,
        gateway_service_client::GatewayServiceClient,
    },
    presence::v1::{
        GetStatusVersionsRequest, GetUserStatusRequest, GetUserStatusResponse, LoginRequest, LoginResponse,
        LogoutRequest, RefreshTokenRequest, SetSelfStatusRequest,
        presence_service_client::PresenceServiceClient,
    },
    refusal,
    subscription::v1::{
        GetFriendsRequest, GetListVersionsRequest, ListSubscriptionsRequest, SubscribeRequest,
        SubscribeResponse, UnsubscribeRequest, UnsubscribeResponse,
        subscription_service_client::SubscriptionServiceClient,
    },
    trace::TraceParent,
};
use rollcall_runtime::grpc::{Endpoints, Traced};
use tonic::Response;

use crate::hub::{Statuses, UserKey};

/// The last moment of a call that has none: it changes nothing.
const NO_LIMIT: u64 = 0;

/// A call that changes something of a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) trace: &'a TraceParent,
    pub(crate) key: UserKey,
    /// The last moment at which it may be stored, µs of the store's clock; 0 for none.
    pub(crate) not_after: u64,
}

/// The versions of what users have besides their status.
#[derive(Debug)]
pub(crate) struct ListVersions {
    /// The subscription lists'.
    pub(crate) lists: Vec<(UserId, u64)>,
    /// The friends'; of nobody where they are not told.
    pub(crate) friends: Vec<(UserId, u64)>,
}

/// Calls to presence and subscription. One that is lost on its way is tried again at another instance: all are such
/// that twice is once.
#[derive(Debug)]
pub(crate) struct Backend {
    presence: Endpoints,
    subscription: Endpoints,
    timeout: Duration,
}

impl Backend {
    /// Makes the clients; they connect when first used.
    pub(crate) fn new(presence: Endpoints, subscription: Endpoints, timeout: Duration) -> Self {
        Self { presence, subscription, timeout }
    }

    /// Calls presence, and settles what became of a call with a last moment.
    async fn presence<M: Clone, T, F>(
        &self,
        trace: &TraceParent,
        not_after: u64,
        message: M,
        call: impl Fn(PresenceServiceClient<Traced>, tonic::Request<M>) -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<Response<T>, tonic::Status>>,
    {
        let sent = AtomicBool::new(false);
        let call = |channel| {
            let request = self.attempt(trace, message.clone(), &sent);
            call(PresenceServiceClient::new(channel), request)
        };
        self.settle(&self.presence, not_after, call).await
    }

    /// Calls subscription, and settles what became of a call with a last moment.
    async fn subscription<M: Clone, T, F>(
        &self,
        trace: &TraceParent,
        not_after: u64,
        message: M,
        call: impl Fn(SubscriptionServiceClient<Traced>, tonic::Request<M>) -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<Response<T>, tonic::Status>>,
    {
        let sent = AtomicBool::new(false);
        let call = |channel| {
            let request = self.attempt(trace, message.clone(), &sent);
            call(SubscriptionServiceClient::new(channel), request)
        };
        self.settle(&self.subscription, not_after, call).await
    }

    /// Makes the request of a call that may have been `sent` before.
    fn attempt<T>(&self, trace: &TraceParent, message: T, sent: &AtomicBool) -> tonic::Request<T> {
        let mut request = self.request(trace, message);
        if sent.swap(true, Ordering::Relaxed) {
            again::mark(request.metadata_mut());
        }
        request
    }

    fn request<T>(&self, trace: &TraceParent, message: T) -> tonic::Request<T> {
        let mut request = trace.request(message);
        request.set_timeout(self.timeout);
        request
    }

    /// Registers this gateway.
    pub(crate) async fn register(&self) -> Result<RegisterResponse, Refusal> {
        let call = async |channel| {
            let request = self.request(&TraceParent::default(), RegisterRequest {});
            GatewayServiceClient::new(channel).register(request).await
        };
        answer(self.presence.call(call).await)
    }

    /// Reports to presence, past the bus.
    pub(crate) async fn report(
        &self,
        report: ReportRequest,
        limit: Duration,
    ) -> Result<ReportResponse, Refusal> {
        let call = async |channel| {
            let mut request = tonic::Request::new(report.clone());
            request.set_timeout(limit);
            GatewayServiceClient::new(channel).report(request).await
        };
        answer(self.presence.call(call).await)
    }

    /// Logs a client in.
    pub(crate) async fn login(
        &self,
        trace: &TraceParent,
        login: LoginRequest,
    ) -> Result<LoginResponse, Refusal> {
        let call = async |mut presence: PresenceServiceClient<_>, request| presence.login(request).await;
        self.presence(trace, login.not_after, login, call).await
    }

    /// Verifies a new token of a user who is logged in, and returns when it runs out.
    pub(crate) async fn refresh_token(
        &self,
        trace: &TraceParent,
        key: UserKey,
        token: String,
    ) -> Result<Timestamp, Refusal> {
        let (app_id, user_id) = names(key);
        let request = RefreshTokenRequest { app_id, user_id, token };
        let call =
            async |mut presence: PresenceServiceClient<_>, request| presence.refresh_token(request).await;
        let response = self.presence(trace, NO_LIMIT, request, call).await?;
        Ok(Timestamp::from_seconds(response.token_expires_at))
    }

    /// Ends a session by logout.
    pub(crate) async fn logout(
        &self,
        Change { trace, key, not_after }: Change<'_>,
        session: SessionId,
    ) -> Result<(), Refusal> {
        let (app_id, user_id) = names(key);
        let session = Some(convert::session_to_wire(session));
        let request = LogoutRequest { app_id, user_id, session, not_after };
        let call = async |mut presence: PresenceServiceClient<_>, request| presence.logout(request).await;
        self.presence(trace, not_after, request, call).await.map(drop)
    }

    /// Stores a custom status, which clears by itself where it is told when, as command `op` of a session. Returns the
    /// status and the version of the record with the set; 0 if that was overtaken.
    pub(crate) async fn set_self_status(
        &self,
        Change { trace, key, not_after }: Change<'_>,
        session: SessionId,
        op: Op,
        custom: String,
        clear_at: Option<Timestamp>,
    ) -> Result<(UserStatus, u64), Refusal> {
        let (app_id, user_id) = names(key);
        let session = Some(convert::session_to_wire(session));
        let (op, clear_at) = (op.0, clear_at.unwrap_or_default().0);
        let request = SetSelfStatusRequest { app_id, user_id, session, custom, not_after, op, clear_at };
        let call =
            async |mut presence: PresenceServiceClient<_>, request| presence.set_self_status(request).await;
        let response = self.presence(trace, not_after, request, call).await?;
        let status = response.status.ok_or_else(|| internal("presence answered without a status"))?;
        Ok((status, response.set_version))
    }

    /// Reads statuses for a caller, as they are on the wire, with the details of a caller who asks of nobody else.
    pub(crate) async fn get_user_status(
        &self,
        trace: &TraceParent,
        (app, caller): UserKey,
        user_ids: Vec<String>,
    ) -> Result<GetUserStatusResponse, Refusal> {
        let with_details = user_ids.iter().all(|id| id == caller.as_str());
        let caller_id = caller.as_str().to_owned();
        self.query(trace, GetUserStatusRequest { app_id: app.get(), user_ids, caller_id, with_details }).await
    }

    async fn query(
        &self,
        trace: &TraceParent,
        request: GetUserStatusRequest,
    ) -> Result<GetUserStatusResponse, Refusal> {
        let call =
            async |mut presence: PresenceServiceClient<_>, request| presence.get_user_status(request).await;
        self.presence(trace, NO_LIMIT, request, call).await
    }

    /// Reads statuses of at most [`READ_IDS`](convert::READ_IDS) users for ourselves; that counts against no window.
    pub(crate) async fn read_statuses(&self, app: AppId, users: &[UserId]) -> Result<Statuses, Refusal> {
        let request = GetUserStatusRequest {
            app_id: app.get(),
            user_ids: ids(users),
            ..GetUserStatusRequest::default()
        };
        let GetUserStatusResponse { statuses, .. } = self.query(&TraceParent::default(), request).await?;
        statuses.iter().map(convert::status).collect()
    }

    /// Has statuses given versions that are not below those that were shown, of at most [`READ_IDS`](convert::READ_IDS)
    /// users, and returns them as they are then.
    pub(crate) async fn raise(
        &self,
        app: AppId,
        shown: &[(UserId, StatusVersion)],
    ) -> Result<Statuses, Refusal> {
        let users = shown.iter().map(|(user, version)| {
            let user_id = user.as_str().to_owned();
            Shown { user_id, version: version.0 }
        });
        let raise = RaiseRequest { app_id: app.get(), users: users.collect() };
        let call = async |channel| {
            let request = self.request(&TraceParent::default(), raise.clone());
            GatewayServiceClient::new(channel).raise(request).await
        };
        answer(self.presence.call(call).await)?.statuses.iter().map(convert::status).collect()
    }

    /// Reads the versions of the statuses of at most [`READ_IDS`](convert::READ_IDS) users.
    pub(crate) async fn status_versions(
        &self,
        app: AppId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, StatusVersion)>, Refusal> {
        let request = GetStatusVersionsRequest { app_id: app.get(), user_ids: ids(users) };
        let call = async |mut presence: PresenceServiceClient<_>, request| {
            presence.get_status_versions(request).await
        };
        let response = self.presence(&TraceParent::default(), NO_LIMIT, request, call).await?;
        pair(users, response.versions.into_iter().map(StatusVersion))
    }

    /// Reads the versions of the lists and friends of at most [`READ_IDS`](convert::READ_IDS) users.
    pub(crate) async fn list_versions(&self, app: AppId, users: &[UserId]) -> Result<ListVersions, Refusal> {
        let request = GetListVersionsRequest { app_id: app.get(), user_ids: ids(users) };
        let call =
            async |mut lists: SubscriptionServiceClient<_>, request| lists.get_list_versions(request).await;
        let response = self.subscription(&TraceParent::default(), NO_LIMIT, request, call).await?;
        let lists = pair(users, response.versions.into_iter())?;
        // Absent where subscription is of the release before there were friends.
        let has_friends = !response.friend_versions.is_empty();
        let friends =
            if has_friends { pair(users, response.friend_versions.into_iter())? } else { Vec::new() };
        Ok(ListVersions { lists, friends })
    }

    /// Subscribes a user.
    pub(crate) async fn subscribe(
        &self,
        Change { trace, key, not_after }: Change<'_>,
        target_ids: Vec<String>,
    ) -> Result<SubscribeResponse, Refusal> {
        let (app_id, user_id) = names(key);
        let request = SubscribeRequest { app_id, user_id, target_ids, not_after };
        let call = async |mut lists: SubscriptionServiceClient<_>, request| lists.subscribe(request).await;
        self.subscription(trace, not_after, request, call).await
    }

    /// Unsubscribes a user.
    pub(crate) async fn unsubscribe(
        &self,
        Change { trace, key, not_after }: Change<'_>,
        target_ids: Vec<String>,
    ) -> Result<UnsubscribeResponse, Refusal> {
        let (app_id, user_id) = names(key);
        let request = UnsubscribeRequest { app_id, user_id, target_ids, not_after };
        let call = async |mut lists: SubscriptionServiceClient<_>, request| lists.unsubscribe(request).await;
        self.subscription(trace, not_after, request, call).await
    }

    /// Reads a user's subscription list and its version; with `online`, because the user is here.
    pub(crate) async fn list(
        &self,
        trace: &TraceParent,
        key: UserKey,
        online: bool,
    ) -> Result<(u64, Vec<String>), Refusal> {
        let (app_id, user_id) = names(key);
        let request = ListSubscriptionsRequest { app_id, user_id, online };
        let call =
            async |mut lists: SubscriptionServiceClient<_>, request| lists.list_subscriptions(request).await;
        let response = self.subscription(trace, NO_LIMIT, request, call).await?;
        Ok((response.version, response.target_ids))
    }

    /// Reads a user's friends and their version.
    pub(crate) async fn friends(
        &self,
        trace: &TraceParent,
        key: UserKey,
    ) -> Result<(u64, Vec<String>), Refusal> {
        let (app_id, user_id) = names(key);
        let request = GetFriendsRequest { app_id, user_id };
        let call = async |mut lists: SubscriptionServiceClient<_>, request| lists.get_friends(request).await;
        let response = self.subscription(trace, NO_LIMIT, request, call).await?;
        Ok((response.version, response.friend_ids))
    }
}

fn answer<T>(answered: Result<Response<T>, tonic::Status>) -> Result<T, Refusal> {
    answered.map(Response::into_inner).map_err(|status| refusal::from_status(&status))
}

fn names((app, user): UserKey) -> (u32, String) {
    (app.get(), user.as_str().to_owned())
}

fn ids(users: &[UserId]) -> Vec<String> {
    users.iter().map(|user| user.as_str().to_owned()).collect()
}

/// Gives each user its version.
fn pair<V>(
    users: &[UserId],
    versions: impl ExactSizeIterator<Item = V>,
) -> Result<Vec<(UserId, V)>, Refusal> {
    if versions.len() != users.len() {
        return Err(internal("versions were answered for other users than were asked for"));
    }
    Ok(users.iter().copied().zip(versions).collect())
}

fn internal(message: &'static str) -> Refusal {
    Refusal::new(rollcall_domain::code::Code::Internal, message)
}

#[cfg(test)]
mod tests;
