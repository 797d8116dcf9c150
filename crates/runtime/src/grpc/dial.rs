//! Makes connections by TLS to a server of one role, whatever its address.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use rollcall_proto::role::Role;
use tokio::net::TcpStream;
use tokio_rustls::{client::TlsStream, rustls::pki_types::ServerName};
use tonic::codegen::{Service, http::Uri};
use tracing::warn;

use super::seldom::Seldom;
use crate::tls::Tls;

/// The port of an `https` URL that names none.
const HTTPS: u16 = 443;

/// Makes connections to servers of a role.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    tls: Tls,
    role: Role,
    failed: Arc<Seldom>,
}

impl Dialer {
    pub(super) fn new(tls: Tls, role: Role) -> Self {
        Self { tls, role, failed: Arc::default() }
    }

    async fn dial(self, uri: Uri) -> io::Result<TlsStream<TcpStream>> {
        // Looked up for each connection: certificates may have been renewed.
        let connector = self.tls.connector().ok_or_else(|| io::Error::other("TLS is off"))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(HTTPS))).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.role.dns_name()).map_err(io::Error::other)?;
        connector.connect(name, stream).await.inspect_err(|error| {
            if let Some(others) = self.failed.pass() {
                warn!(%uri, expected = %self.role, %error, others, "refused a server that did not show who it is");
            }
        })
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move { dialer.dial(uri).await.map(TokioIo::new) })
    }
}
