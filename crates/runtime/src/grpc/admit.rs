//! Lets each role call the services that are for it, and no others.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use tonic::service::Routes;
use tracing::warn;

use super::seldom::Seldom;
use crate::tls::Peer;

/// Looks at who calls. A connection whose peer is not known may call nothing.
pub(super) fn layer(routes: Routes) -> Routes {
    let refused = Arc::<Seldom>::default();
    routes.into_axum_router().layer(from_fn_with_state(refused, admitted)).into()
}

/// Returns the role that the certificate of a call's peer names, or several as `gateway+presence`; `None` of a peer that
/// shows no certificate.
pub fn certified_role<T>(request: &tonic::Request<T>) -> Option<String> {
    request.extensions().get::<Peer>().and_then(Peer::named)
}

async fn admitted(State(refused): State<Arc<Seldom>>, request: Request, next: Next) -> Response {
    let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
    let checked = match request.extensions().get::<Peer>() {
        Some(peer) => peer.check(service),
        None => Peer::default().check(service),
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(status) => {
            if let Some(others) = refused.pass() {
                warn!(reason = status.message(), others, "refused a call");
            }
            status.into_http()
        }
    }
}
