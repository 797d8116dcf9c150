//! gRPC clients: a connection of HTTP/2, and on each of its streams the session of one client.
//!
//! It is served by h2 itself. hyper asks an answer for more only when the client takes more, so a session whose client
//! does not read could be neither heard nor closed; and a session would need a task and a queue more.
//!
//! A connection sends no pings of its own: it must not be lost before its sessions are silent for the expiry (SPEC A7),
//! and when they have ended, so does it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use rollcall_proto::messages::{CONTENT_TYPE, Messages, OPEN_SESSION};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OwnedSemaphorePermit,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    codegen::http::{HeaderValue, Method, Request, Response, StatusCode, header, uri::Authority},
};

use super::{Bucket, Edge, FOREIGN_ORIGIN, HEADER_LIMIT, origin_is_allowed};
use crate::{
    codec::Codec,
    connection::{self, FRAME_MAX, Stream},
    metrics::Refused,
};

/// Sessions open at once on one connection, such as a proxy's; further streams are refused.
const STREAMS: u32 = 128;
/// Bytes a client may send on one stream before the session has read them: the session reads on until 64 of its calls
/// wait.
const STREAM_WINDOW: u32 = 16 * 1024;
/// The same of one connection: all streams, so that sessions that are not read never hold up the others. (What is unread
/// in small DATA frames is bounded besides: h2 counts 256 bytes for each, and closes a connection beyond half of this.)
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;
/// Bytes written on one stream that the socket has not taken; no more are taken from a session.
const SEND_BUFFER: usize = 16 * 1024;
/// The greatest size of the headers of a request in bytes.
const HEADERS_MAX: u32 = 8 * 1024;
/// Streams that a client reset before they were looked at; beyond it the connection is closed.
const RESETS_UNSEEN: usize = 20;
/// Streams that we reset and remember, since the client may not have heard of it: all of a connection's.
const RESETS_KEPT: usize = STREAMS as usize;
/// Streams that a client broke or wrote to after their end, in the life of a connection; beyond it the connection is
/// closed.
const BROKEN: usize = 1024;
/// Streams that a connection may open in one second, after a first burst of twice as many: once all of a proxy's
/// clients. One that opens more, as one that resets them at once does, is closed.
const STREAMS_PER_SECOND: u32 = STREAMS;
/// The time between two looks whether a connection has no session. At the second look it is closed, at the third cut.
const IDLE_LOOK: Duration = Duration::from_secs(5);

/// Serves the streams of a connection until it ends, or has had no session for a while. Once `shutdown` is cancelled it
/// takes no new ones.
pub(super) async fn serve<S>(edge: Edge, stream: S, shutdown: CancellationToken) -> Result<(), h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(handshake) = tokio::time::timeout(HEADER_LIMIT, builder().handshake(stream)).await else {
        return Ok(());
    };
    let mut connection: Connection<S, Bytes> = handshake?;
    let mut bucket = Bucket::new(STREAMS_PER_SECOND, edge.gateway.clock.monotonic());
    // Each session holds a clone.
    let sessions = Arc::new(());
    let (mut stopping, mut idle_looks) = (false, 0);
    let mut look = interval(IDLE_LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = accepted?;
                if bucket.take(edge.gateway.clock.monotonic()) {
                    edge.open(request, respond, Arc::clone(&sessions));
                } else {
                    edge.gateway.metrics.refused(Refused::Rate);
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
            }
            _ = look.tick() => {
                idle_looks = if Arc::strong_count(&sessions) == 1 { idle_looks + 1 } else { 0 };
                match idle_looks {
                    // The first look is at once.
                    0 | 1 => {}
                    2 => connection.graceful_shutdown(),
                    _ => return Ok(()),
                }
            }
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                connection.graceful_shutdown();
            }
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEADERS_MAX)
        .max_concurrent_reset_streams(RESETS_KEPT)
        .max_pending_accept_reset_streams(RESETS_UNSEEN)
        .max_local_error_reset_streams(Some(BROKEN));
    builder
}

impl Edge {
    /// Begins a session, or refuses it. It holds `here` to its end.
    fn open(&self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>, here: Arc<()>) {
        let slot = match self.check(&request) {
            Ok(slot) => slot,
            Err(refusal) => {
                // Fails if the client has gone already, as below.
                let _ = respond.send_response(*refusal, true);
                return;
            }
        };
        let mut response = Response::new(());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        let Ok(send) = respond.send_response(response, false) else { return };
        let stream = Stream::new(Messages::new(send, request.into_body(), FRAME_MAX));
        let gateway = Arc::clone(&self.gateway);
        let open = gateway.metrics.open();
        tokio::spawn(async move {
            let _held = (slot, open, here);
            connection::serve(gateway, stream, Codec::Protobuf).await;
        });
    }

    /// Checks that a request opens a session, and that there is room for it; else says how it is answered.
    fn check(&self, request: &Request<RecvStream>) -> Result<OwnedSemaphorePermit, Box<Response<()>>> {
        let refused = |status: Status| Box::new(status.into_http());
        if request.uri().path() != OPEN_SESSION {
            let message =
                "no such method is served here, expected rollcall.client.v1.ClientService/OpenSession";
            return Err(refused(Status::unimplemented(message)));
        }
        is_grpc(request).map_err(|status| {
            let mut response = Response::new(());
            *response.status_mut() = status;
            Box::new(response)
        })?;
        if request.headers().get("grpc-encoding").is_some_and(|encoding| encoding != "identity") {
            let mut refusal = refused(Status::unimplemented("frames are compressed, expected none to be"));
            refusal.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
            return Err(refusal);
        }
        let host = request.uri().authority().map(Authority::as_str);
        if !origin_is_allowed(request.headers(), host, &self.gateway.config.allowed_origins) {
            self.gateway.metrics.refused(Refused::Origin);
            return Err(refused(Status::permission_denied(FOREIGN_ORIGIN)));
        }
        self.enter().map_err(|(why, message)| {
            self.gateway.metrics.refused(why);
            refused(Status::unavailable(message))
        })
    }
}

/// Checks that a request is a call of gRPC with protobuf; else says with what HTTP status it is answered.
fn is_grpc(request: &Request<RecvStream>) -> Result<(), StatusCode> {
    if request.method() != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    match kind.unwrap_or_default().split(';').next().unwrap_or_default().trim() {
        CONTENT_TYPE | "application/grpc+proto" => Ok(()),
        _ => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    }
}
