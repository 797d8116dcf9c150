//! Lets each role call the services that are for it, and no others.

use axum::{extract::Request, middleware::Next, response::Response};
use tonic::service::Routes;

use crate::tls::Peer;

/// Looks at who calls. A connection whose peer is not known may call nothing.
pub(super) fn layer(routes: Routes) -> Routes {
    routes.into_axum_router().layer(axum::middleware::from_fn(admitted)).into()
}

async fn admitted(request: Request, next: Next) -> Response {
    let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    match peer.check(service) {
        Ok(()) => next.run(request).await,
        Err(status) => status.into_http(),
    }
}
