//! A WebSocket as transport.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::{Sink as _, StreamExt as _};
use rollcall_proto::close::CloseCode;
use tokio_tungstenite::tungstenite;

use super::transport::{Gone, Received, Transport, send};

impl Transport for WebSocket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        Poll::Ready(match ready!(self.poll_next_unpin(cx)) {
            Some(Ok(Message::Close(_))) | None => Received::Gone,
            Some(Ok(message)) => Received::Message(message),
            Some(Err(error)) => close_code_of(error).map_or(Received::Gone, Received::Broken),
        })
    }

    fn start_send(&mut self, message: Message) -> Result<(), Gone> {
        Pin::new(self).start_send(message).map_err(|_| Gone)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        Pin::new(self).poll_flush(cx).map_err(|_| Gone)
    }

    async fn close(mut self, last: Option<Message>, code: CloseCode) {
        let closing = async {
            if let Some(message) = last {
                send(&mut self, message).await?;
            }
            let frame = CloseFrame { code: code.number(), reason: code.reason().into() };
            send(&mut self, Message::Close(Some(frame))).await?;
            // The client answers with its own.
            while let Some(Ok(_)) = self.recv().await {}
            Ok::<(), Gone>(())
        };
        // Who has gone cannot be told.
        let _ = closing.await;
    }
}

/// Finds how to close after a socket error: `None` if the client is gone.
fn close_code_of(error: axum::Error) -> Option<CloseCode> {
    match error.into_inner().downcast_ref::<tungstenite::Error>()? {
        tungstenite::Error::Capacity(_) => Some(CloseCode::FrameTooLarge),
        tungstenite::Error::Utf8(_) => Some(CloseCode::MalformedFrame),
        tungstenite::Error::Protocol(error) if !is_reset(error) => Some(CloseCode::MalformedFrame),
        _ => None,
    }
}

fn is_reset(error: &tungstenite::error::ProtocolError) -> bool {
    matches!(error, tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
}
