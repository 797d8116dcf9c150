//! The connection below a [`Raw`](super::Raw): a WebSocket, or a gRPC stream on an HTTP/2 connection of its own.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use h2::{Reason, RecvStream, SendStream};
use prost::Message as _;
use rollcall_proto::client::v1::{ClientFrame, ServerFrame};
use serde_json::Value;
use tokio::{net::TcpStream, sync::Mutex, task::JoinHandle};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::Codec;

type Socket = WebSocketStream<TcpStream>;

/// What a connection received.
pub(super) enum Received {
    /// A frame, as JSON.
    Frame(Value),
    /// A WebSocket ping or pong.
    Nothing,
    /// The end: the close code, and the gRPC status, if there were any.
    End(Option<u16>, Option<i32>),
}

/// The sending side. Clones send on the same connection.
#[derive(Debug, Clone)]
pub(super) enum Sender {
    WebSocket(Arc<Mutex<SplitSink<Socket, Message>>>, Codec),
    Stream(Arc<Mutex<SendStream<Bytes>>>),
}

/// The receiving side.
#[derive(Debug)]
pub(super) enum Receiver {
    WebSocket(SplitStream<Socket>, Codec),
    Stream(StreamReceiver),
}

/// The receiving side of a gRPC stream, with the connection. Dropping it drops the TCP connection.
#[derive(Debug)]
pub(super) struct StreamReceiver {
    receive: RecvStream,
    bytes: BytesMut,
    connection: JoinHandle<()>,
}

pub(super) fn web_socket(socket: Socket, codec: Codec) -> (Sender, Receiver) {
    let (sink, stream) = socket.split();
    (Sender::WebSocket(Arc::new(Mutex::new(sink)), codec), Receiver::WebSocket(stream, codec))
}

pub(super) fn stream(
    send: SendStream<Bytes>,
    receive: RecvStream,
    connection: JoinHandle<()>,
) -> (Sender, Receiver) {
    let receiver = StreamReceiver { receive, bytes: BytesMut::new(), connection };
    (Sender::Stream(Arc::new(Mutex::new(send))), Receiver::Stream(receiver))
}

impl Sender {
    /// Sends a frame given as JSON; says whether the connection took it.
    pub(super) async fn send(&self, frame: &Value) -> bool {
        let read = || -> ClientFrame { serde_json::from_value(frame.clone()).expect("a frame") };
        self.send_message(match self {
            Self::WebSocket(_, Codec::Json) => Message::text(frame.to_string()),
            _ => Message::binary(read().encode_to_vec()),
        })
        .await
    }

    /// Sends a message, on a stream with the prefix of gRPC; says whether the connection took it.
    pub(super) async fn send_message(&self, message: Message) -> bool {
        match self {
            Self::WebSocket(sink, _) => sink.lock().await.send(message).await.is_ok(),
            Self::Stream(_) => {
                let Message::Binary(frame) = message else { panic!("a stream has no {message:?}") };
                let length = u32::try_from(frame.len()).expect("a frame's length").to_be_bytes();
                self.send_data([&[0], &length[..], &frame].concat().into(), false).await
            }
        }
    }

    /// Sends bytes on a stream as they are, and perhaps ends its client's side.
    pub(super) async fn send_data(&self, bytes: Bytes, end: bool) -> bool {
        let Self::Stream(send) = self else { panic!("bytes are sent on streams") };
        send.lock().await.send_data(bytes, end).is_ok()
    }

    /// Resets a stream.
    pub(super) async fn reset(&self) {
        let Self::Stream(send) = self else { panic!("streams are reset") };
        send.lock().await.send_reset(Reason::CANCEL);
    }

    /// Ends the client's side: by a WebSocket close, or the end of the stream.
    pub(super) async fn end(&self) {
        match self {
            Self::WebSocket(..) => self.send_message(Message::Close(None)).await,
            Self::Stream(_) => self.send_data(Bytes::new(), true).await,
        };
    }
}

impl Receiver {
    pub(super) async fn receive(&mut self) -> Received {
        match self {
            Self::WebSocket(stream, codec) => match stream.next().await {
                Some(Ok(Message::Close(frame))) => Received::End(frame.map(|frame| frame.code.into()), None),
                Some(Ok(message)) => codec.decode(&message).map_or(Received::Nothing, Received::Frame),
                Some(Err(_)) | None => Received::End(None, None),
            },
            Self::Stream(stream) => stream.receive().await,
        }
    }
}

impl StreamReceiver {
    async fn receive(&mut self) -> Received {
        loop {
            if let Some((prefix, rest)) = self.bytes.split_first_chunk::<5>() {
                let [compressed, length @ ..] = *prefix;
                assert_eq!(compressed, 0, "nothing is compressed");
                let length = u32::from_be_bytes(length) as usize;
                if rest.len() >= length {
                    self.bytes.advance(5);
                    return Received::Frame(to_json(self.bytes.split_to(length).freeze()));
                }
            }
            match self.receive.data().await {
                Some(Ok(data)) => {
                    self.receive.flow_control().release_capacity(data.len()).expect("just received");
                    self.bytes.extend_from_slice(&data);
                }
                Some(Err(_)) => return Received::End(None, None),
                None => return self.end().await,
            }
        }
    }

    async fn end(&mut self) -> Received {
        assert!(self.bytes.is_empty(), "a message was cut");
        let Ok(Some(trailers)) = self.receive.trailers().await else { return Received::End(None, None) };
        let number = |name| trailers.get(name).map(|value| value.to_str().expect("a text"));
        let code = number("rollcall-close-code").map(|code| code.parse().expect("a close code"));
        let status = number("grpc-status").expect("a stream ends with a status").parse();
        Received::End(code, Some(status.expect("a number")))
    }
}

impl Drop for StreamReceiver {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Codec {
    /// Reads a frame as JSON; `None` for a WebSocket ping or pong.
    fn decode(self, message: &Message) -> Option<Value> {
        match (self, message) {
            (_, Message::Ping(_) | Message::Pong(_)) => None,
            (Self::Json, Message::Text(text)) => Some(serde_json::from_str(text).expect("a JSON frame")),
            (Self::Protobuf, Message::Binary(bytes)) => Some(to_json(bytes.clone())),
            (codec, message) => panic!("a {codec:?} connection received {message:?}"),
        }
    }
}

fn to_json(frame: Bytes) -> Value {
    let frame = ServerFrame::decode(frame).expect("a protobuf frame");
    serde_json::to_value(frame).expect("a frame has a JSON form")
}
