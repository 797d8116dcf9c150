//! Messages over one HTTP/2 stream, as gRPC frames them: a byte that says whether it is compressed, which none is here,
//! four bytes of length, and the message. Both ends of a client's stream use it.
//!
//! Invariant: what waits is bounded. No more is received than one message within the limit and one DATA frame, and
//! HTTP/2 is given no more to send than the peer's windows take; the rest waits here, and whoever writes asks
//! [`poll_flush`](Messages::poll_flush) before it writes on.

use std::{
    mem,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use tonic::codegen::http::HeaderMap;

/// The path of the call that opens a client's stream.
pub const OPEN_SESSION: &str = "/rollcall.client.v1.ClientService/OpenSession";
/// The content type of gRPC.
pub const CONTENT_TYPE: &str = "application/grpc";
/// Bytes before each message.
const PREFIX: usize = 5;

/// Says why nothing more can be received.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A message is longer than allowed.
    #[error("a message of {length} bytes was received, at most {limit} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The greatest length in bytes.
        limit: usize,
    },
    /// A message says that it is compressed.
    #[error("a compressed message was received, expected none")]
    Compressed,
    /// The peer ended the stream within a message.
    #[error("the stream ended within a message")]
    Cut,
    /// The stream was reset, or its connection is gone.
    #[error(transparent)]
    Gone(#[from] h2::Error),
}

/// The messages of one stream, in both directions.
#[derive(Debug)]
pub struct Messages {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// The greatest length of a received message in bytes.
    limit: usize,
    received: BytesMut,
    unsent: BytesMut,
}

impl Messages {
    /// Takes a stream whose headers have gone both ways. Received messages may be so many bytes long.
    pub fn new(send: SendStream<Bytes>, receive: RecvStream, limit: usize) -> Self {
        Self { send, receive, limit, received: BytesMut::new(), unsent: BytesMut::new() }
    }

    /// Receives the next message; none once the peer has ended its side.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            if let Some(message) = self.take_message()? {
                return Poll::Ready(Ok(Some(message)));
            }
            match ready!(self.receive.poll_data(cx)) {
                Some(data) => {
                    let data = data?;
                    self.receive.flow_control().release_capacity(data.len())?;
                    self.received.extend_from_slice(&data);
                }
                None if self.received.is_empty() => return Poll::Ready(Ok(None)),
                None => return Poll::Ready(Err(Error::Cut)),
            }
        }
    }

    fn take_message(&mut self) -> Result<Option<Bytes>, Error> {
        let Some((prefix, rest)) = self.received.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let [compressed, length @ ..] = *prefix;
        let (length, limit) = (u32::from_be_bytes(length) as usize, self.limit);
        if compressed != 0 {
            return Err(Error::Compressed);
        }
        if length > limit {
            return Err(Error::TooLong { length, limit });
        }
        if rest.len() < length {
            return Ok(None);
        }
        // The last message takes the buffer with it, so that an idle stream holds none.
        let whole = rest.len() == length;
        let mut message =
            if whole { mem::take(&mut self.received) } else { self.received.split_to(PREFIX + length) };
        message.advance(PREFIX);
        Ok(Some(message.freeze()))
    }

    /// Receives the trailers of a stream whose peer has ended its side, if it sent some.
    pub fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<HeaderMap>, Error>> {
        self.receive.poll_trailers(cx).map_err(Error::Gone)
    }

    /// Adds a message to what is to be sent.
    ///
    /// # Panics
    ///
    /// If the message is of 4 GiB or more.
    pub fn start_send(&mut self, message: &[u8]) {
        self.unsent.put_u8(0);
        self.unsent.put_u32(u32::try_from(message.len()).expect("a message is shorter than 4 GiB"));
        self.unsent.put_slice(message);
    }

    /// Hands over what is to be sent; ready once all of it is.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.unsent.is_empty() {
            self.send.reserve_capacity(self.unsent.len());
            let capacity = match self.send.capacity() {
                0 => match ready!(self.send.poll_capacity(cx)) {
                    Some(capacity) => capacity?,
                    None => return Poll::Ready(Err(Error::Gone(h2::Reason::STREAM_CLOSED.into()))),
                },
                capacity => capacity,
            };
            let chunk = if capacity < self.unsent.len() {
                self.unsent.split_to(capacity)
            } else {
                mem::take(&mut self.unsent)
            };
            self.send.send_data(chunk.freeze(), false)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Ends this side of a server's stream, after what was flushed.
    pub fn finish(&mut self, trailers: HeaderMap) -> Result<(), Error> {
        Ok(self.send.send_trailers(trailers)?)
    }

    /// Ends this side of a client's stream, after what was flushed.
    pub fn end(&mut self) -> Result<(), Error> {
        Ok(self.send.send_data(Bytes::new(), true)?)
    }
}

#[cfg(test)]
mod tests;
