//! What can end the gateway.

/// Says why the gateway ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address, an endpoint or a server failed.
    #[error(transparent)]
    Runtime(#[from] rollcall_runtime::Error),
    /// The clients' address cannot be listened on.
    #[error("cannot listen for clients on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}
