//! As much as is needed of Centrifugo's client protocol, as protobuf: each frame is a list of messages, each behind
//! its length. Source: `definitions/client.proto` of github.com/centrifugal/protocol.
//!
//! A user's status is a channel of which the last publication is kept, and shown to who subscribes.

use anyhow::{bail, ensure};
use prost::Message;
use rollcall_proto::common::v1::{GeneralStatus, UserStatus};

use super::{Heard, Request};
use crate::crowd::{custom_status, sequence_of, token_of};

pub(super) const SUBPROTOCOL: &str = "centrifuge-protobuf";
/// The namespace of the channels, which the server's configuration has.
pub(crate) const NAMESPACE: &str = "status";
/// Tokens name an audience; the server does not look at it.
const AUDIENCE: u32 = 1;
/// The id of all commands: a client here waits for all replies to a frame at once.
const COMMAND: u32 = 1;
/// An empty message: a heartbeat of the server, and a client's answer to it.
const HEARTBEAT: &[u8] = &[0];

#[derive(Clone, PartialEq, Message)]
struct Command {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "4")]
    connect: Option<Connect>,
    #[prost(message, optional, tag = "5")]
    subscribe: Option<Subscribe>,
    #[prost(message, optional, tag = "7")]
    publish: Option<Publish>,
}

#[derive(Clone, PartialEq, Message)]
struct Connect {
    #[prost(string, tag = "1")]
    token: String,
}

#[derive(Clone, PartialEq, Message)]
struct Subscribe {
    #[prost(string, tag = "1")]
    channel: String,
}

#[derive(Clone, PartialEq, Message)]
struct Publish {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Reply {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "2")]
    error: Option<Refusal>,
    #[prost(message, optional, tag = "4")]
    push: Option<Push>,
    #[prost(message, optional, tag = "6")]
    subscribe: Option<Subscribed>,
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Push {
    #[prost(message, optional, tag = "4")]
    publication: Option<Publication>,
    #[prost(message, optional, tag = "7")]
    unsubscribe: Option<Unsubscribed>,
}

/// The server has ended a subscription.
#[derive(Clone, PartialEq, Message)]
struct Unsubscribed {
    #[prost(uint32, tag = "2")]
    code: u32,
    #[prost(string, tag = "3")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct Subscribed {
    #[prost(message, repeated, tag = "7")]
    publications: Vec<Publication>,
}

#[derive(Clone, PartialEq, Message)]
struct Publication {
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

/// Connects, and publishes that the user is there: nothing here tells it of itself.
pub(super) fn log_in(token_key: &str, user_id: &str) -> Request {
    let token = token_of(AUDIENCE, token_key, user_id);
    request([Command { connect: Some(Connect { token }), ..Command::default() }, published(user_id, 0)])
}

pub(super) fn subscribe(user_ids: &[String]) -> Request {
    request(user_ids.iter().map(|user_id| {
        let subscribe = Subscribe { channel: channel(user_id) };
        Command { subscribe: Some(subscribe), ..Command::default() }
    }))
}

pub(super) fn change(user_id: &str, sequence: u64) -> Request {
    request([published(user_id, sequence)])
}

pub(super) fn hear(frame: &[u8]) -> anyhow::Result<Heard> {
    let mut heard = Heard::default();
    let mut rest = frame;
    while !rest.is_empty() {
        let reply = Reply::decode_length_delimited(&mut rest)?;
        if let Some(Refusal { code, message }) = reply.error {
            bail!("a command was refused: {message} ({code})");
        }
        if reply == Reply::default() {
            heard.answer = Some(HEARTBEAT);
        }
        heard.replies += usize::from(reply.id == COMMAND);
        let push = reply.push.unwrap_or_default();
        if let Some(Unsubscribed { code, reason }) = push.unsubscribe {
            bail!("the server ended a subscription: {reason} ({code})");
        }
        let shown = reply.subscribe.map(|subscribed| subscribed.publications).unwrap_or_default();
        for publication in shown.into_iter().chain(push.publication) {
            let status = UserStatus::decode(&*publication.data)?;
            ensure!(!status.user_id.is_empty(), "a publication names no user");
            heard.statuses.push((status.user_id, sequence_of(&status.custom)));
        }
    }
    Ok(heard)
}

/// Publishes what Rollcall would tell of the user.
fn published(user_id: &str, sequence: u64) -> Command {
    let status = UserStatus {
        user_id: user_id.to_owned(),
        general: GeneralStatus::Online.into(),
        custom: custom_status(sequence),
        version: sequence + 1,
    };
    let publish = Publish { channel: channel(user_id), data: status.encode_to_vec() };
    Command { publish: Some(publish), ..Command::default() }
}

fn channel(user_id: &str) -> String {
    format!("{NAMESPACE}:{user_id}")
}

fn request(commands: impl IntoIterator<Item = Command>) -> Request {
    let mut request = Request { frame: Vec::new(), replies: 0 };
    for command in commands {
        request.frame.extend(Command { id: COMMAND, ..command }.encode_length_delimited_to_vec());
        request.replies += 1;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(replies: &[Reply]) -> Vec<u8> {
        replies.iter().flat_map(Reply::encode_length_delimited_to_vec).collect()
    }

    fn publication(user_id: &str, sequence: u64) -> Publication {
        Publication { data: published(user_id, sequence).publish.unwrap().data }
    }

    #[test]
    fn each_command_of_a_frame_asks_for_a_reply() {
        let request = subscribe(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(request.replies, 2);
        let mut rest = &*request.frame;
        for channel in ["status:a", "status:b"] {
            let command = Command::decode_length_delimited(&mut rest).unwrap();
            assert_eq!((command.id, &*command.subscribe.unwrap().channel), (COMMAND, channel));
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn statuses_are_heard_as_shown_to_a_subscriber_and_as_pushed() {
        let subscribed = Subscribed { publications: vec![publication("a", 0)] };
        let push = Push { publication: Some(publication("b", 42)), unsubscribe: None };
        let heard = hear(&sent(&[
            Reply { id: COMMAND, subscribe: Some(subscribed), ..Reply::default() },
            Reply { push: Some(push), ..Reply::default() },
        ]));
        let statuses = vec![("a".to_owned(), 0), ("b".to_owned(), 42)];
        assert_eq!(heard.unwrap(), Heard { replies: 1, statuses, answer: None });
    }

    #[test]
    fn a_heartbeat_is_answered_and_a_refusal_is_an_error() {
        assert_eq!(hear(HEARTBEAT).unwrap(), Heard { answer: Some(HEARTBEAT), ..Heard::default() });
        let error = Some(Refusal { code: 103, message: "permission denied".to_owned() });
        let refused = hear(&sent(&[Reply { id: COMMAND, error, ..Reply::default() }])).unwrap_err();
        assert!(refused.to_string().contains("permission denied (103)"), "{refused}");
    }

    #[test]
    fn a_subscription_that_the_server_ends_is_an_error() {
        let unsubscribe = Some(Unsubscribed { code: 2500, reason: "insufficient state".to_owned() });
        let push = Some(Push { publication: None, unsubscribe });
        let ended = hear(&sent(&[Reply { push, ..Reply::default() }])).unwrap_err();
        assert!(ended.to_string().contains("insufficient state (2500)"), "{ended}");
    }
}
