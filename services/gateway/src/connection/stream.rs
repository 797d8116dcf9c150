//! A gRPC stream as transport: protobuf frames as its messages, the close code as its status.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use rollcall_proto::{
    close::CloseCode,
    messages::{Error, Messages},
};
use tonic::{Status, codegen::http::HeaderMap};
use tungstenite::Message;

use super::transport::{Gone, Received, Transport};

/// The stream of one session.
pub(crate) struct Stream {
    messages: Messages,
}

impl Stream {
    /// Takes a stream that was accepted.
    pub(crate) fn new(messages: Messages) -> Self {
        Self { messages }
    }
}

impl Transport for Stream {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        Poll::Ready(match ready!(self.messages.poll_next(cx)) {
            Ok(Some(message)) => Received::Message(Message::Binary(message)),
            Ok(None) => {
                // Like a WebSocket's close, it is answered in kind. Who has gone cannot be told.
                let _ = self.messages.finish(trailers(&Status::ok("")));
                Received::Gone
            }
            Err(Error::TooLong { .. }) => Received::Broken(CloseCode::FrameTooLarge),
            Err(Error::Compressed) => Received::Broken(CloseCode::MalformedFrame),
            Err(Error::Cut | Error::Gone(_)) => Received::Gone,
        })
    }

    fn start_send(&mut self, message: Message) -> Result<(), Gone> {
        // The codec of a stream makes no others.
        if let Message::Binary(frame) = message {
            self.messages.start_send(&frame);
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.messages.poll_flush(cx).map_err(|_| Gone)
    }

    async fn close(mut self, last: Option<Message>, code: CloseCode) {
        let closing = async {
            if let Some(message) = last {
                self.start_send(message)?;
            }
            poll_fn(|cx| self.poll_flush(cx)).await?;
            self.messages.finish(trailers(&code.status())).map_err(|_| Gone)
        };
        // Who has gone cannot be told. What was not finished in time is reset as it is dropped.
        let _ = closing.await;
    }
}

/// Writes a status as the trailers of a stream.
fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // It refuses a message that no header can carry; ours can be carried.
    let _ = status.add_header(&mut trailers);
    trailers
}
