//! The calls of presence over gRPC: parse, call, reply.

pub(crate) mod admin;
pub(crate) mod gateway;
mod last_online;
mod presence;
pub(crate) mod user;

use rollcall_domain::code::Refusal;
use rollcall_proto::{common::v1 as common, convert};

use crate::sessions::Caller;

/// The names of what is served, for health.
pub(crate) const SERVICE_NAMES: [&str; 5] = [
    rollcall_proto::admin::v1::admin_service_server::SERVICE_NAME,
    rollcall_proto::gateway::v1::gateway_service_server::SERVICE_NAME,
    rollcall_proto::presence::v1::last_online_service_server::SERVICE_NAME,
    rollcall_proto::presence::v1::presence_service_server::SERVICE_NAME,
    rollcall_proto::presence::v1::user_service_server::SERVICE_NAME,
];

/// Reads what names a caller.
fn caller(app: u32, user: &str, session: Option<&common::SessionId>) -> Result<Caller, Refusal> {
    Ok(Caller {
        app: convert::app_id(app)?,
        user: convert::user_id(user)?,
        session: convert::session_id(session)?,
    })
}
