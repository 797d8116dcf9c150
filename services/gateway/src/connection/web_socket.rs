//! A WebSocket as transport: tungstenite's protocol over a TCP stream, let go while the connection is at rest.
//!
//! The protocol's state and buffers take more memory than all else of a connection, and most connections are at rest
//! most of the time: no part of a message has come, and all that was sent has been taken. The protocol is then in the
//! state in which it begins, so it is made anew when something happens.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use rollcall_proto::close::CloseCode;
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::TcpStream,
};
use tungstenite::{
    Error, Message,
    error::ProtocolError,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::FrameHeader},
};

use super::{
    FRAME_MAX,
    transport::{Gone, Received, Transport, receive, send},
};

/// Bytes that are read at once.
const READ_BUFFER: usize = 1024;
/// Bytes to write beyond which a connection fails. A frame beyond what a connection writes at once always fits.
const WRITE_BUFFER_MAX: usize = 1024 * 1024;

/// A WebSocket of which the handshake is done.
pub(crate) struct WebSocket {
    stream: TcpStream,
    /// Absent while the connection is at rest.
    protocol: Option<Box<Protocol>>,
}

/// What the protocol is in the middle of.
struct Protocol {
    context: WebSocketContext,
    /// Bytes that came.
    came: usize,
    /// Bytes of the messages that were received. A message counts as if it had come in one frame with the shortest
    /// header, which is never more than it took: if these are all that came, nothing is left inside.
    received: usize,
}

impl WebSocket {
    /// Begins after the handshake, with what has come after it already.
    pub(crate) fn new(stream: TcpStream, begun: &Bytes) -> Self {
        let protocol = (!begun.is_empty()).then(|| Protocol::new(begun));
        Self { stream, protocol }
    }

    /// Flushes, and lets the protocol go if it is at rest then.
    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(protocol) = &mut self.protocol else { return Poll::Ready(Ok(())) };
        let mut io = Socket { stream: &mut self.stream, cx, came: &mut protocol.came };
        match protocol.context.flush(&mut io) {
            Err(error) if is_blocked(&error) => return Poll::Pending,
            result => result?,
        }
        if protocol.came == protocol.received && protocol.context.can_write() {
            self.protocol = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl Transport for WebSocket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        if self.protocol.is_none() {
            match self.stream.poll_read_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Received::Gone),
                Poll::Ready(Ok(())) => {}
            }
        }
        let protocol = self.protocol.get_or_insert_with(|| Protocol::new(&[]));
        let mut io = Socket { stream: &mut self.stream, cx, came: &mut protocol.came };
        let received = match protocol.context.read(&mut io) {
            Ok(message) => message,
            Err(error) if is_blocked(&error) => {
                // What fails is met again by who reads on.
                let _ = self.poll_settle(cx);
                return Poll::Pending;
            }
            Err(error) => return Poll::Ready(close_code_of(&error).map_or(Received::Gone, Received::Broken)),
        };
        if received.is_close() {
            // The answer goes out if there is room; who has left waits for no more.
            let _ = self.poll_settle(cx);
            return Poll::Ready(Received::Gone);
        }
        protocol.received += frame_length(received.len());
        Poll::Ready(Received::Message(received))
    }

    fn start_send(&mut self, message: Message) -> Result<(), Gone> {
        let protocol = self.protocol.get_or_insert_with(|| Protocol::new(&[]));
        match protocol.context.write(&mut Blocked, message) {
            // It has been taken, and waits to be flushed.
            Err(error) if is_blocked(&error) => Ok(()),
            result => result.map_err(|_| Gone),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.poll_settle(cx).map_err(|_| Gone)
    }

    async fn close(mut self, last: Option<Message>, code: CloseCode) {
        let closing = async {
            if let Some(message) = last {
                send(&mut self, message).await?;
            }
            let frame = CloseFrame { code: code.number().into(), reason: code.reason().into() };
            send(&mut self, Message::Close(Some(frame))).await?;
            // The client answers with its own.
            while let Received::Message(_) = receive(&mut self).await {}
            Ok::<(), Gone>(())
        };
        // Who has gone cannot be told.
        let _ = closing.await;
    }
}

impl Protocol {
    fn new(begun: &[u8]) -> Box<Self> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER_MAX)
            .max_message_size(Some(FRAME_MAX))
            .max_frame_size(Some(FRAME_MAX));
        let context = WebSocketContext::from_partially_read(begun.to_vec(), Role::Server, Some(config));
        Box::new(Self { context, came: begun.len(), received: 0 })
    }
}

/// A stream as the protocol takes it: what would wait is an error, and wakes the task later.
struct Socket<'a, 'b> {
    stream: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
    came: &'a mut usize,
}

impl Read for Socket<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(into);
        blocked(Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer))?;
        let count = buffer.filled().len();
        *self.came += count;
        Ok(count)
    }
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocked(Pin::new(&mut *self.stream).poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        blocked(Pin::new(&mut *self.stream).poll_flush(self.cx))
    }
}

/// A stream that takes and brings nothing now.
struct Blocked;

impl Read for Blocked {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        blocked(Poll::Pending)
    }
}

impl Write for Blocked {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        blocked(Poll::Pending)
    }

    fn flush(&mut self) -> io::Result<()> {
        blocked(Poll::Pending)
    }
}

fn blocked<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn is_blocked(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Returns how long a client's frame is at least, in bytes.
fn frame_length(payload: usize) -> usize {
    let header = FrameHeader { mask: Some([0; 4]), ..FrameHeader::default() };
    header.len(payload as u64) + payload
}

/// Finds how to close after an error: `None` if the client is gone.
fn close_code_of(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Capacity(_) => Some(CloseCode::FrameTooLarge),
        Error::Utf8(_) => Some(CloseCode::MalformedFrame),
        Error::Protocol(error) if !matches!(error, ProtocolError::ResetWithoutClosingHandshake) => {
            Some(CloseCode::MalformedFrame)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
