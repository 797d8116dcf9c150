//! Registration of gateways, and the reports that the bus did not bring.

use rollcall_proto::{
    gateway::v1::{
        RegisterRequest, RegisterResponse, ReportRequest, ReportResponse,
        gateway_service_server::GatewayService,
    },
    trace::TraceParent,
};
use tonic::{Request, Response, Status};
use tracing::{info, warn};

use crate::{error::failed, leases::Leases, reports::Reports};

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
}
