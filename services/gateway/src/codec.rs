//! Client frames as messages: proto3 JSON in text, protobuf in binary. A gRPC stream has binary ones only.

use axum::http::HeaderValue;
use prost::Message as _;
use rollcall_proto::{
    client::v1::{ClientFrame, ServerFrame},
    convert::{SUBPROTOCOL_JSON, SUBPROTOCOL_PROTOBUF},
};
use tungstenite::Message;

/// How a connection writes its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Proto3 JSON in text messages.
    Json = 0,
    /// Protobuf in binary messages.
    Protobuf = 1,
}

/// How many codecs there are.
pub(crate) const CODECS: usize = 2;

/// Says why a message is no frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The message is of the other kind.
    #[error("a {found} message was received, expected {expected}")]
    WrongKind {
        /// The kind received.
        found: &'static str,
        /// The kind of the subprotocol.
        expected: &'static str,
    },
    /// The text is not the JSON of a frame.
    #[error("the frame is not valid JSON of rollcall.client.v1.ClientFrame: {0}")]
    Json(#[from] serde_json::Error),
    /// The bytes are not the protobuf of a frame.
    #[error("the frame is not a valid rollcall.client.v1.ClientFrame: {0}")]
    Protobuf(#[from] prost::DecodeError),
}

impl Codec {
    /// Finds the codec of the subprotocols that a client offers, in headers that list them; JSON where it offers both.
    pub(crate) fn offered<'a>(headers: impl IntoIterator<Item = &'a HeaderValue>) -> Option<Self> {
        let lists = headers.into_iter().filter_map(|header| header.to_str().ok());
        let offered: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
        [Self::Json, Self::Protobuf].into_iter().find(|codec| offered.contains(&codec.subprotocol()))
    }

    /// Returns the name of the subprotocol.
    pub(crate) const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => SUBPROTOCOL_JSON,
            Self::Protobuf => SUBPROTOCOL_PROTOBUF,
        }
    }

    /// Reads a frame; `None` for a WebSocket ping, pong or close, which says nothing.
    pub(crate) fn decode(self, message: &Message) -> Result<Option<ClientFrame>, Error> {
        let wrong = |found, expected| Err(Error::WrongKind { found, expected });
        match (self, message) {
            (Self::Json, Message::Text(text)) => Ok(Some(read_json(text)?)),
            (Self::Protobuf, Message::Binary(bytes)) => Ok(Some(ClientFrame::decode(bytes.clone())?)),
            (Self::Json, Message::Binary(_)) => wrong("binary", "text"),
            (Self::Protobuf, Message::Text(_)) => wrong("text", "binary"),
            (_, _) => Ok(None),
        }
    }

    /// Writes a frame.
    pub(crate) fn encode(self, frame: &ServerFrame) -> Message {
        match self {
            // Our own frames have no map keys or foreign values that JSON could refuse.
            Self::Json => Message::Text(serde_json::to_string(frame).unwrap_or_default().into()),
            Self::Protobuf => Message::Binary(frame.encode_to_vec().into()),
        }
    }
}

/// Reads a frame of JSON. Proto3 JSON takes a null for an absent field, which the generated reader does not, so
/// a frame that it refuses is read again without its nulls.
fn read_json(text: &str) -> Result<ClientFrame, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| {
        if !text.contains("null") {
            return Err(error);
        }
        let mut value: serde_json::Value = serde_json::from_str(text)?;
        drop_nulls(&mut value);
        serde_json::from_value(value)
    })
}

/// Drops the members of objects that are null.
fn drop_nulls(value: &mut serde_json::Value) {
    if let serde_json::Value::Object(members) = value {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(drop_nulls);
    }
}

#[cfg(test)]
mod tests {
    use rollcall_proto::client::v1::{Ping, SetSelfStatus, client_frame::Call};

    use super::*;

    #[test]
    fn both_codecs_read_the_same_frame() {
        let json = Message::text(r#"{"id":7,"ping":{},"someNewField":[1,{}]}"#);
        let frame = Codec::Json.decode(&json).unwrap().unwrap();
        assert_eq!((frame.id, frame.call.clone()), (7, Some(Call::Ping(Ping {}))));
        let binary = Message::binary(frame.encode_to_vec());
        assert_eq!(Codec::Protobuf.decode(&binary).unwrap(), Some(frame));
    }

    // SPEC L3
    #[test]
    fn a_null_is_an_absent_field() {
        let json =
            Message::text(r#"{"id":7,"traceparent":null,"login":null,"setSelfStatus":{"custom":null}}"#);
        let frame = Codec::Json.decode(&json).unwrap().unwrap();
        assert_eq!(frame.call, Some(Call::SetSelfStatus(SetSelfStatus::default())));
        Codec::Json.decode(&Message::text("null")).unwrap_err();
        Codec::Json.decode(&Message::text(r#"{"subscribe":{"userIds":[null]}}"#)).unwrap_err();
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for text in ["", "{", "[]", "7", r#"{"id":"x"}"#, r#"{"id":-1}"#, r#"{"login":7}"#] {
            Codec::Json.decode(&Message::text(text)).unwrap_err();
        }
        Codec::Json.decode(&Message::binary(vec![8, 1])).unwrap_err();
        Codec::Protobuf.decode(&Message::text("{}")).unwrap_err();
        Codec::Protobuf.decode(&Message::binary(vec![0xff; 9])).unwrap_err();
    }
}
