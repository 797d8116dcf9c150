//! Sessions and statuses.

use rollcall_domain::{code::Refusal, id::Op, status::RecordVersion};
use rollcall_proto::{
    again,
    common::v1::OnlineDetail,
    convert,
    presence::v1::{
        GetStatusVersionsRequest, GetStatusVersionsResponse, GetUserStatusRequest, GetUserStatusResponse,
        LoginRequest, LoginResponse, LogoutRequest, LogoutResponse, RefreshTokenRequest,
        RefreshTokenResponse, SetSelfStatusRequest, SetSelfStatusResponse,
        presence_service_server::PresenceService,
    },
    trace::TraceParent,
};
use rollcall_records::Call;
use tonic::{Request, Response, Status};

use super::caller;
use crate::{
    error::{failed, refused},
    sessions::{Detail, Login, Query, Sessions, Set},
};

#[tonic::async_trait]
impl PresenceService for Sessions {
    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let request = request.into_inner();
        let call = Call::until(&trace, convert::moment(request.not_after));
        let login = login(request).map_err(|refusal| refused(&refusal))?;
        let done = Self::login(self, &login, call).await.map_err(|error| failed(&error))?;
        let caller = login.caller;
        Ok(Response::new(LoginResponse {
            status: Some(convert::status_to_wire(&caller.user, &done.status, done.version)),
            login_order: done.order.0,
            app: Some(convert::settings_to_wire(caller.app, &done.app.settings, done.app.version.0)),
            token_expires_at: done.token_expires_at.seconds(),
            place: done.place.0,
            bare_since: done.bare_since.unwrap_or_default().0,
        }))
    }

    async fn refresh_token(
        &self,
        request: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        let RefreshTokenRequest { app_id, user_id, token } = request.into_inner();
        let app = convert::app_id(app_id).map_err(|refusal| refused(&refusal))?;
        let user = convert::user_id(&user_id).map_err(|refusal| refused(&refusal))?;
        let end = Self::refresh_token(self, app, user, &token).await.map_err(|error| failed(&error))?;
        Ok(Response::new(RefreshTokenResponse { token_expires_at: end.seconds() }))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let LogoutRequest { app_id, user_id, session, not_after } = request.into_inner();
        let caller = caller(app_id, &user_id, session.as_ref()).map_err(|refusal| refused(&refusal))?;
        Self::logout(self, &caller, Call::until(&trace, convert::moment(not_after)))
            .await
            .map_err(|error| failed(&error))?;
        Ok(Response::new(LogoutResponse {}))
    }

    async fn set_self_status(
        &self,
        request: Request<SetSelfStatusRequest>,
    ) -> Result<Response<SetSelfStatusResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let SetSelfStatusRequest { app_id, user_id, session, custom, not_after, op, clear_at } =
            request.into_inner();
        let caller = caller(app_id, &user_id, session.as_ref()).map_err(|refusal| refused(&refusal))?;
        let call = Call::until(&trace, convert::moment(not_after));
        let set = Set { op: Op(op), text: custom, clear_at: convert::moment(clear_at) };
        let stored =
            Self::set_self_status(self, &caller, &set, call).await.map_err(|error| failed(&error))?;
        let status = Some(convert::status_to_wire(&caller.user, &stored.status, stored.version));
        let set_version = stored.set.unwrap_or_default().0;
        Ok(Response::new(SetSelfStatusResponse { status, set_version }))
    }

    async fn get_user_status(
        &self,
        request: Request<GetUserStatusRequest>,
    ) -> Result<Response<GetUserStatusResponse>, Status> {
        let again = again::is_marked(request.metadata());
        let GetUserStatusRequest { app_id, user_ids, caller_id, with_details } = request.into_inner();
        let app = convert::app_id(app_id).map_err(|refusal| refused(&refusal))?;
        let caller = match caller_id.as_str() {
            "" => None,
            caller => Some(convert::user_id(caller).map_err(|refusal| refused(&refusal))?),
        };
        let query = Query { app, ids: &user_ids, caller, again, with_details };
        let answers = Self::get_user_status(self, query).await;
        let answers = answers.map_err(|error| failed(&error))?;
        let statuses = answers.statuses.iter();
        let failures = answers.failures.into_iter();
        Ok(Response::new(GetUserStatusResponse {
            statuses: statuses
                .map(|(user, status, version)| convert::status_to_wire(user, status, *version))
                .collect(),
            failures: failures.map(|(id, refusal)| convert::failure_to_wire(id, refusal)).collect(),
            details: answers.details.iter().map(detail).collect(),
        }))
    }

    async fn get_status_versions(
        &self,
        request: Request<GetStatusVersionsRequest>,
    ) -> Result<Response<GetStatusVersionsResponse>, Status> {
        let GetStatusVersionsRequest { app_id, user_ids } = request.into_inner();
        let app = convert::app_id(app_id).map_err(|refusal| refused(&refusal))?;
        let users = convert::read_ids(&user_ids).map_err(|refusal| refused(&refusal))?;
        let versions = self.users.status_versions(app, &users).await.map_err(|error| failed(&error))?;
        let versions = versions.into_iter().map(|version| version.0).collect();
        Ok(Response::new(GetStatusVersionsResponse { versions }))
    }
}

fn detail(detail: &Detail) -> OnlineDetail {
    OnlineDetail {
        user_id: detail.user.as_str().to_owned(),
        platforms: detail.platforms.iter().map(|platform| *platform as i32).collect(),
        last_online_at: detail.left_online_at.unwrap_or_default().0,
    }
}

fn login(request: LoginRequest) -> Result<Login, Refusal> {
    Ok(Login {
        caller: caller(request.app_id, &request.user_id, request.session.as_ref())?,
        token: request.token,
        platform: convert::platform(request.platform)?,
        device: convert::device_id(&request.device_id)?,
        resumes: (request.resumes != 0).then_some(RecordVersion(request.resumes)),
    })
}
