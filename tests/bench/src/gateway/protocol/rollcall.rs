//! Rollcall's own protocol.

use anyhow::{Context as _, bail};
use prost::Message as _;
use rollcall_proto::{
    client::v1::{
        ClientFrame, Login, Ping, ServerFrame, SetSelfStatus, Subscribe, client_frame::Call,
        server_frame::Event,
    },
    common::v1::Platform,
    convert,
};

use super::{Heard, Request};
use crate::{
    crowd::{custom_status, sequence_of, token_of},
    socket::ok,
};

pub(super) const SUBPROTOCOL: &str = convert::SUBPROTOCOL_PROTOBUF;
/// The most ids in one call of subscribe (SPEC D1).
const IDS_PER_CALL: usize = 100;
/// The id of heartbeats: nobody waits for their replies.
const HEARTBEAT: u32 = 1;
/// The id of all other calls. A client here has one under way at most.
const CALL: u32 = 2;

pub(super) fn log_in(app_id: u32, token_key: &str, user_id: &str) -> Request {
    request(Call::Login(Login {
        app_id,
        user_id: user_id.to_owned(),
        token: token_of(app_id, token_key, user_id),
        platform: Platform::Linux.into(),
        device_id: "bench".to_owned(),
        ..Login::default()
    }))
}

pub(super) fn subscribe(user_ids: &[String]) -> Request {
    debug_assert!(user_ids.len() <= IDS_PER_CALL, "the options allow no more");
    request(Call::Subscribe(Subscribe { user_ids: user_ids.to_vec() }))
}

pub(super) fn change(sequence: u64) -> Request {
    request(Call::SetSelfStatus(SetSelfStatus { custom: custom_status(sequence), clear_after_seconds: 0 }))
}

pub(super) fn heartbeat() -> Vec<u8> {
    frame(HEARTBEAT, Call::Ping(Ping {}))
}

pub(super) fn hear(frame: &[u8]) -> anyhow::Result<Heard> {
    let event = ServerFrame::decode(frame)?.event.context("a frame without an event was received")?;
    Ok(match event {
        Event::Reply(reply) => Heard { replies: usize::from(ok(reply)?.id != HEARTBEAT), ..Heard::default() },
        Event::StatusChanged(push) => {
            let statuses =
                push.statuses.into_iter().map(|status| (status.user_id, sequence_of(&status.custom)));
            Heard { statuses: statuses.collect(), ..Heard::default() }
        }
        other => bail!("received {other:?}, expected a reply or statuses"),
    })
}

fn request(call: Call) -> Request {
    Request { frame: frame(CALL, call), replies: 1 }
}

fn frame(id: u32, call: Call) -> Vec<u8> {
    ClientFrame { id, traceparent: String::new(), call: Some(call) }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use rollcall_proto::{
        client::v1::{Reply, StatusChanged},
        common::v1::UserStatus,
    };

    use super::*;

    fn sent(event: Event) -> Vec<u8> {
        ServerFrame { event: Some(event) }.encode_to_vec()
    }

    #[test]
    fn replies_to_calls_count_and_those_to_heartbeats_do_not() {
        let reply = |id, code| sent(Event::Reply(Reply { id, code, ..Reply::default() }));
        assert_eq!(hear(&reply(CALL, 0)).unwrap().replies, 1);
        assert_eq!(hear(&reply(HEARTBEAT, 0)).unwrap().replies, 0);
        hear(&reply(CALL, 6014)).unwrap_err();
    }

    #[test]
    fn a_status_is_heard_with_the_number_of_its_change() {
        let status = |user_id: &str, custom| UserStatus {
            user_id: user_id.to_owned(),
            custom,
            version: 9,
            ..UserStatus::default()
        };
        let statuses = vec![status("a", custom_status(42)), status("b", String::new())];
        let heard = hear(&sent(Event::StatusChanged(StatusChanged { statuses }))).unwrap();
        assert_eq!(heard.statuses, [("a".to_owned(), 42), ("b".to_owned(), 0)]);
    }
}
