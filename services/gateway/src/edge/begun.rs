//! A connection of which the first bytes were read, to see what it speaks, and are given again.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// How HTTP/2 begins, and no request of HTTP/1.1 that is served.
const HTTP2: [u8; 3] = *b"PRI";

/// A connection that begins with what was read of it.
pub(super) struct Begun<S> {
    stream: S,
    head: [u8; HTTP2.len()],
    /// How much of `head` was read, and not given again.
    read: usize,
    given: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Begun<S> {
    /// Reads until it is clear what the connection speaks, and says whether that is HTTP/2.
    pub(super) async fn read(stream: S) -> io::Result<(Self, bool)> {
        let mut begun = Self { stream, head: [0; HTTP2.len()], read: 0, given: 0 };
        while begun.read < HTTP2.len() && HTTP2.starts_with(&begun.head[..begun.read]) {
            match begun.stream.read(&mut begun.head[begun.read..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => begun.read += more,
            }
        }
        let is_http2 = begun.head[..begun.read] == HTTP2;
        Ok((begun, is_http2))
    }

    /// Returns the stream. What was read of it must have been given again.
    pub(super) fn into_inner(self) -> S {
        debug_assert_eq!(self.given, self.read);
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given == self.read {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let end = self.read.min(self.given + buffer.remaining());
        buffer.put_slice(&self.head[self.given..end]);
        self.given = end;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_a_connection_speaks_is_seen_however_it_arrives_and_nothing_is_lost() {
        for (text, expected) in [
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
            ("GET /v1/connect HTTP/1.1\r\n", false),
            ("PUT / HTTP/1.1\r\n", false),
            ("PRX", false),
        ] {
            // As many bytes as fit arrive at once.
            for size in [1, 2, 3, 64] {
                let (near, mut far) = duplex(size);
                let sent = tokio::spawn(async move { far.write_all(text.as_bytes()).await });
                let (mut begun, is_http2) = Begun::read(near).await.unwrap();
                assert_eq!(is_http2, expected, "{text:?}");
                let mut all = String::new();
                begun.read_to_string(&mut all).await.unwrap();
                assert_eq!(all, text);
                sent.await.unwrap().unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_before_it_begins_is_an_error() {
        let (near, mut far) = duplex(64);
        far.write_all(b"PR").await.unwrap();
        drop(far);
        assert!(Begun::read(near).await.is_err());
    }
}
