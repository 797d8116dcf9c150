//! Registration of gateways, and the reports that the bus did not bring.

use rollcall_domain::{
    code::Refusal,
    id::{AppId, UserId},
    status::StatusVersion,
};
use rollcall_proto::{
    convert,
    gateway::v1::{
        RaiseRequest, RaiseResponse, RegisterRequest, RegisterResponse, ReportRequest, ReportResponse,
        gateway_service_server::GatewayService,
    },
    trace::TraceParent,
};
use tonic::{Request, Response, Status};
use tracing::{info, warn};

use crate::{
    error::{failed, refused},
    leases::Leases,
    reports::Reports,
};

/// Serves gateways.
pub(crate) struct Gateways {
    pub(crate) leases: Leases,
    pub(crate) reports: Reports,
}

#[tonic::async_trait]
impl GatewayService for Gateways {
    async fn register(
        &self,
        _request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        // First, so that a boot which cannot be told it is not opened.
        let store_now = self.reports.store.now().await.map_err(|error| failed(&error.into()))?.0;
        let registered = self.leases.open().await.map_err(|error| failed(&error))?;
        info!("registered a gateway");
        let token = registered.token.to_vec();
        let partitions = self.reports.store.partitions().count().into();
        Ok(Response::new(RegisterResponse { boot: registered.boot.0, token, store_now, partitions }))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        match self.reports.handle(request.into_inner(), &trace).await {
            Ok(response) => Ok(Response::new(response)),
            Err(error) => {
                warn!(%error, "refused a report");
                Err(error.status())
            }
        }
    }

    async fn raise(&self, request: Request<RaiseRequest>) -> Result<Response<RaiseResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let (app, users) = shown(&request.into_inner()).map_err(|refusal| refused(&refusal))?;
        let statuses = self.reports.raise(app, users, &trace).await.map_err(|error| failed(&error))?;
        let statuses = statuses.iter();
        Ok(Response::new(RaiseResponse {
            statuses: statuses
                .map(|(user, status, version)| convert::status_to_wire(user, status, *version))
                .collect(),
        }))
    }
}

/// Reads whose status was shown, and with which version.
fn shown(request: &RaiseRequest) -> Result<(AppId, Vec<(UserId, StatusVersion)>), Refusal> {
    let app = convert::app_id(request.app_id)?;
    let ids: Vec<String> = request.users.iter().map(|shown| shown.user_id.clone()).collect();
    let users = convert::read_ids(&ids)?;
    let versions = request.users.iter().map(|shown| StatusVersion(shown.version));
    Ok((app, users.into_iter().zip(versions).collect()))
}
