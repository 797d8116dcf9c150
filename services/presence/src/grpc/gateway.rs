//! Registration of gateways.

use std::sync::Arc;

use rollcall_proto::gateway::v1::{
    RegisterRequest, RegisterResponse, gateway_service_server::GatewayService,
};
use rollcall_runtime::Clock;
use tonic::{Request, Response, Status};
use tracing::info;

use crate::{boots::Boots, error::refused};

/// Serves gateways.
pub(crate) struct Gateways {
    pub(crate) boots: Arc<Boots>,
    pub(crate) clock: Clock,
}

#[tonic::async_trait]
impl GatewayService for Gateways {
    async fn register(
        &self,
        _request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let boot = self.boots.register(self.clock.monotonic()).map_err(|refusal| refused(&refusal))?;
        info!("registered a gateway");
        Ok(Response::new(RegisterResponse { boot: boot.0 }))
    }
}
