//! A client without SDK: frames written by hand, over a WebSocket as JSON or protobuf, or over a gRPC stream.
//!
//! Invariant: every status that arrives is checked on arrival. Its general status is one that a server may send
//! (SPEC A1), a push holds at most 100 statuses (F6), each of another user, and the versions of a user strictly
//! increase (F4).

mod dial;
mod inbox;
pub(crate) mod reply;
mod wire;

use std::time::{Duration, Instant};

use rollcall_client::UserStatus;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

pub use self::dial::Dial;
use self::{
    inbox::{End, Inbox},
    reply::Reply,
    wire::{Received, Receiver, Sender},
};
use crate::{app::App, wait::within};

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Proto3 JSON in text messages.
    Json,
    /// Protobuf in binary messages.
    Protobuf,
}

/// The id of the heartbeats that a [`Raw`] sends by itself; their replies are not shown.
const KEEPALIVE_ID: u32 = u32::MAX;

/// The heartbeat interval of the profile `fast`.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// A connection. Dropping it drops the TCP connection, without a WebSocket close or the end of a stream.
#[derive(Debug)]
pub struct Raw {
    sender: Sender,
    receiver: Receiver,
    last_id: u32,
    keepalive: Option<JoinHandle<()>>,
    inbox: Inbox,
}

impl Raw {
    fn new((sender, receiver): (Sender, Receiver)) -> Self {
        Self { sender, receiver, last_id: 0, keepalive: None, inbox: Inbox::default() }
    }

    /// Sends a message. That the connection has ended shows when something is awaited from it.
    pub async fn send_message(&mut self, message: Message) {
        self.sender.send_message(message).await;
    }

    /// Sends bytes on a gRPC stream as they are.
    pub async fn send_data(&mut self, bytes: &[u8]) {
        self.sender.send_data(bytes.to_vec().into(), false).await;
    }

    /// Resets a gRPC stream. Its HTTP/2 connection stays.
    pub async fn reset(&mut self) {
        self.fall_silent().await;
        self.sender.reset().await;
    }

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// Sends a frame given as JSON, in the connection's own encoding.
    pub async fn send(&mut self, frame: &Value) {
        self.sender.send(frame).await;
    }

    /// Makes a call given as JSON without its id, like `{"ping": {}}`, and returns the id.
    pub async fn begin(&mut self, mut call: Value) -> u32 {
        self.last_id += 1;
        call["id"] = json!(self.last_id);
        self.send(&call).await;
        self.last_id
    }

    /// Makes a call given as JSON without its id, and waits for the reply.
    pub async fn call(&mut self, call: Value) -> Reply {
        let id = self.begin(call).await;
        self.reply(id).await
    }

    /// Waits for the reply to the call of this id.
    pub async fn reply(&mut self, id: u32) -> Reply {
        within(&format!("the reply to call {id}"), async {
            loop {
                if let Some(reply) = self.inbox.take_reply(id) {
                    return reply;
                }
                assert!(
                    self.receive().await,
                    "the connection ended before the reply to call {id}: {:?}",
                    self.inbox
                );
            }
        })
        .await
    }

    /// Logs a user in on a Linux device.
    pub async fn login(&mut self, app: &App, user: &str, device: &str) -> Reply {
        self.login_on(app, "PLATFORM_LINUX", user, device).await
    }

    /// Logs a user in on a device of some platform.
    pub async fn login_on(&mut self, app: &App, platform: &str, user: &str, device: &str) -> Reply {
        self.login_with(app.id, user, &app.token(user), platform, device).await
    }

    /// Sends a login of any content. Once it is served the connection heartbeats.
    pub async fn login_with(
        &mut self,
        app: u32,
        user: &str,
        token: &str,
        platform: &str,
        device: &str,
    ) -> Reply {
        self.log_in(json!({
            "appId": app, "userId": user, "token": token, "platform": platform, "deviceId": device,
        }))
        .await
    }

    /// Logs a user in as a client does that comes back by itself, whose login had this place among the user's.
    pub async fn come_back(
        &mut self,
        app: &App,
        platform: &str,
        user: &str,
        device: &str,
        order: u64,
    ) -> Reply {
        self.log_in(json!({
            "appId": app.id, "userId": user, "token": app.token(user), "platform": platform, "deviceId": device,
            "resumes": order.to_string(),
        }))
        .await
    }

    async fn log_in(&mut self, login: Value) -> Reply {
        let reply = self.call(json!({ "login": login })).await;
        if reply.code == 0 {
            self.keep_alive();
        }
        reply
    }

    /// Sets the custom status.
    pub async fn set(&mut self, custom: &str) -> Reply {
        self.call(json!({ "setSelfStatus": { "custom": custom } })).await
    }

    /// Sets the custom status, to clear by itself after so many seconds.
    pub async fn set_for(&mut self, custom: &str, seconds: u32) -> Reply {
        self.call(json!({ "setSelfStatus": { "custom": custom, "clearAfterSeconds": seconds } })).await
    }

    /// Queries statuses.
    pub async fn query(&mut self, users: &[&str]) -> Reply {
        self.call(json!({ "getUserStatus": { "userIds": users } })).await
    }

    /// Queries the status of one user, which must succeed.
    pub async fn status_of(&mut self, user: &str) -> UserStatus {
        let reply = self.query(&[user]).await.ok();
        assert_eq!(reply.failures(), []);
        let [status] = reply.statuses().try_into().expect("one status");
        status
    }

    /// Subscribes.
    pub async fn subscribe(&mut self, users: &[&str]) -> Reply {
        let reply = self.call(json!({ "subscribe": { "userIds": users } })).await;
        if reply.code == 0 {
            let evicted = reply.evicted();
            self.inbox.forget(evicted.iter().map(String::as_str));
        }
        reply
    }

    /// Unsubscribes; an empty list clears all.
    pub async fn unsubscribe(&mut self, users: &[&str]) -> Reply {
        let reply = self.call(json!({ "unsubscribe": { "userIds": users } })).await;
        match (reply.code, users) {
            (0, []) => self.inbox.forget_all(),
            (0, users) => self.inbox.forget(users.iter().copied()),
            _ => {}
        }
        reply
    }

    /// Lists the subscriptions.
    pub async fn subscriptions(&mut self) -> Vec<String> {
        self.call(json!({ "listSubscriptions": {} })).await.ok().listed()
    }

    /// Logs out; the connection closes after the reply.
    pub async fn logout(&mut self) -> Reply {
        self.call(json!({ "logout": {} })).await
    }

    /// Lets the versions of users start anew, after another session has unsubscribed from them.
    pub fn forget(&mut self, users: &[&str]) {
        self.inbox.forget(users.iter().copied());
    }

    /// Takes the statuses that were pushed before what was awaited last.
    pub fn take_unread(&mut self) -> Vec<UserStatus> {
        self.inbox.statuses.drain(..).collect()
    }

    /// Waits for the next status that is pushed.
    pub async fn next_status(&mut self) -> UserStatus {
        within("a pushed status", async {
            loop {
                if let Some(status) = self.inbox.statuses.pop_front() {
                    return status;
                }
                assert!(self.receive().await, "the connection ended before a status came: {:?}", self.inbox);
            }
        })
        .await
    }

    /// Waits for a pushed status of a user that satisfies `until`; those before it are passed over.
    pub async fn expect(&mut self, user: &str, until: impl Fn(&UserStatus) -> bool) -> UserStatus {
        let mut passed = Vec::new();
        loop {
            let next = tokio::time::timeout(crate::PATIENCE, self.next_status()).await;
            let status = next.unwrap_or_else(|_| panic!("no such status of {user}, but {passed:?}"));
            if status.user_id.as_str() == user && until(&status) {
                return status;
            }
            passed.push(status);
        }
    }

    /// Waits for the next pushed status of a user, whatever it is; those of others before it are passed over.
    pub async fn expect_next(&mut self, user: &str) -> UserStatus {
        self.expect(user, |_| true).await
    }

    /// Returns what is pushed during a time. That something is missing can only be seen this way: by a test that
    /// may miss a fault on a slow machine, but never fails for being slow.
    pub async fn pushed_during(&mut self, time: Duration) -> Vec<UserStatus> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            // Receiving is cancel safe: nothing is lost when the time is over.
            let Ok(open) = tokio::time::timeout(left, self.receive()).await else { break };
            assert!(open, "the connection ended: {:?}", self.inbox);
        }
        self.take_unread()
    }

    /// Waits for the end of the connection, and returns the close code; `None` without one.
    pub async fn closed(&mut self) -> Option<u16> {
        within("the end of the connection", async { while self.receive().await {} }).await;
        match self.inbox.end {
            Some(End::Code(code)) => Some(code),
            Some(End::NoCode) | None => None,
        }
    }

    /// Returns the number of the gRPC status that a stream ended with, once it was closed.
    pub fn grpc_status(&self) -> Option<i32> {
        self.inbox.grpc_status
    }

    /// Returns the code of the `kicked` that was pushed, if one was.
    pub fn kicked(&self) -> Option<i64> {
        self.inbox.kicked
    }

    /// Shows a new token.
    pub async fn refresh_token(&mut self, token: &str) -> Reply {
        self.call(json!({ "refreshToken": { "token": token } })).await
    }

    /// Waits until `tokenExpired` was pushed, once more than what was awaited before.
    pub async fn token_expired(&mut self) {
        within("tokenExpired", async {
            while self.inbox.token_ends == 0 {
                assert!(self.receive().await, "the connection ended before tokenExpired: {:?}", self.inbox);
            }
        })
        .await;
        self.inbox.token_ends -= 1;
    }

    /// Waits until the server has asked to move to another one.
    pub async fn asked_to_move(&mut self) {
        within("draining", async {
            while !self.inbox.asked_to_move {
                assert!(self.receive().await, "the connection ended before draining: {:?}", self.inbox);
            }
        })
        .await;
    }

    /// Returns how often `tokenExpired` was pushed and not awaited.
    pub fn token_ends(&self) -> u32 {
        self.inbox.token_ends
    }

    /// Sends a ping every second from now on.
    pub fn keep_alive(&mut self) {
        let sender = self.sender.clone();
        let ping = json!({ "id": KEEPALIVE_ID, "ping": {} });
        self.keepalive.get_or_insert_with(|| {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(KEEPALIVE).await;
                    if !sender.send(&ping).await {
                        return;
                    }
                }
            })
        });
    }

    /// Sends nothing more by itself; what it sent last it sent before this returns.
    pub async fn fall_silent(&mut self) {
        if let Some(keepalive) = self.keepalive.take() {
            keepalive.abort();
            let _ = keepalive.await;
        }
    }

    /// Drops the TCP connection: with a FIN, or with a reset if the dial asked for it.
    pub async fn lose(mut self) {
        self.fall_silent().await;
    }

    /// Ends the client's side, by a WebSocket close or the end of the stream, and waits for the server's.
    pub async fn close(mut self) {
        self.fall_silent().await;
        self.sender.end().await;
        self.closed().await;
    }

    /// Receives one message; false when the connection has ended.
    async fn receive(&mut self) -> bool {
        if self.inbox.end.is_some() {
            return false;
        }
        match self.receiver.receive().await {
            Received::Frame(frame) => self.inbox.take_in(frame),
            Received::Nothing => {}
            Received::End(code, grpc_status) => {
                self.inbox.end = Some(code.map_or(End::NoCode, End::Code));
                self.inbox.grpc_status = grpc_status;
            }
        }
        self.inbox.end.is_none()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(keepalive) = &self.keepalive {
            keepalive.abort();
        }
    }
}
