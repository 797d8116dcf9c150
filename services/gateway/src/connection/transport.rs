//! What a connection needs of what carries it: the rules stand in `connection.rs`, once, whatever that is.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use rollcall_proto::close::CloseCode;
use tungstenite::Message;

/// What a transport received.
pub(crate) enum Received {
    /// A message; text or binary ones are to be frames.
    Message(Message),
    /// What breaks the protocol; the connection is to close with this code.
    Broken(CloseCode),
    /// The end of the client's side, however it came.
    Gone,
}

/// The client has gone: nothing more can be sent.
#[derive(Debug)]
pub(crate) struct Gone;

/// What carries a client's messages.
///
/// It holds back no more to write than what was started since it was flushed last, and reads ahead of what is asked
/// for by no more than a message and a window.
pub(crate) trait Transport: Send + 'static {
    /// Receives the next message.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received>;

    /// Starts to write a message; flushing goes on with it.
    fn start_send(&mut self, message: Message) -> Result<(), Gone>;

    /// Writes; ready once all that was started has been taken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>>;

    /// Sends a last message, if any, and why the connection ends, and lets the client take it. The caller sets the
    /// limit.
    fn close(self, last: Option<Message>, code: CloseCode) -> impl Future<Output = ()> + Send;
}

/// Waits for the next message.
pub(super) async fn receive(transport: &mut impl Transport) -> Received {
    poll_fn(|cx| transport.poll_receive(cx)).await
}

/// Sends a message, and waits until it has been taken.
pub(super) async fn send(transport: &mut impl Transport, message: Message) -> Result<(), Gone> {
    transport.start_send(message)?;
    poll_fn(|cx| transport.poll_flush(cx)).await
}
