//! What the backend of an app does to users.

use rollcall_domain::{code::Refusal, id};
use rollcall_proto::{
    convert,
    presence::v1::{KickUserRequest, KickUserResponse, user_service_server::UserService},
    trace::TraceParent,
};
use tonic::{Request, Response, Status};

use crate::{
    error::{failed, refused},
    gate::Gate,
    sessions::Sessions,
};

/// Serves the backends of apps.
#[derive(Clone)]
pub(crate) struct Backends {
    pub(crate) sessions: Sessions,
    pub(crate) gate: Gate,
}

#[tonic::async_trait]
impl UserService for Backends {
    async fn kick_user(
        &self,
        request: Request<KickUserRequest>,
    ) -> Result<Response<KickUserResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let who = self.gate.name(&request);
        let (app, user) = names(&request.into_inner()).map_err(|refusal| refused(&refusal))?;
        let kicked = self.sessions.kick(app, user, &who, &trace).await.map_err(|error| failed(&error))?;
        let sessions = u32::try_from(kicked.sessions).unwrap_or(u32::MAX);
        Ok(Response::new(KickUserResponse { sessions, revoked_until: kicked.revoked_until.seconds() }))
    }
}

fn names(request: &KickUserRequest) -> Result<(id::AppId, id::UserId), Refusal> {
    Ok((convert::app_id(request.app_id)?, convert::user_id(&request.user_id)?))
}
