//! An accepted connection that can be cut from outside.
//!
//! tonic runs each connection in a task of its own, which outlives the server. Here reading ends with an error
//! once the cut is made, and with it the connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tokio_util::{
    either::Either,
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};
use tonic::transport::server::Connected;

use crate::tls::Peer;

/// A TCP connection, in clear text or by TLS, that ends when its token is cancelled.
pub(super) struct Connection {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    peer: Peer,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    /// Ties a connection to the token.
    pub(super) fn plain(stream: TcpStream, cut: CancellationToken) -> Self {
        Self { stream: Either::Left(stream), peer: Peer::default(), cut: Box::pin(cut.cancelled_owned()) }
    }

    /// Ties a connection to the token whose peer has shown who it is.
    pub(super) fn secure(stream: TlsStream<TcpStream>, cut: CancellationToken) -> Self {
        let peer = Peer::of(stream.get_ref().1.peer_certificates());
        Self { stream: Either::Right(Box::new(stream)), peer, cut: Box::pin(cut.cancelled_owned()) }
    }
}

/// Each call on the connection is told who its peer is.
impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
