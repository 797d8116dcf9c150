//! Where clients go: gateways, and an app with its token key.

use std::time::Duration;

use anyhow::anyhow;
use rollcall_harness::token;
use rollcall_proto::{
    client::v1::{Login, client_frame::Call, reply},
    common::v1::Platform,
};
use serde_json::json;

use crate::socket::Socket;

/// How long a token is good for: longer than any run.
const TOKEN_LIFE: Duration = Duration::from_hours(24);

/// An app on one gateway or more.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Where the gateways take clients, as `ws://…`; at least one.
    pub(crate) gateways: Vec<String>,
    /// The app.
    pub(crate) app_id: u32,
    /// Its token key.
    pub(crate) token_key: String,
}

impl Place {
    /// Connects a client and logs its user in: at the gateway with this number, beginning anew with the first after
    /// the last. Returns the interval of heartbeats that the server tells.
    pub(crate) async fn log_in(&self, gateway: usize, user_id: &str) -> anyhow::Result<(Socket, Duration)> {
        let mut socket = Socket::connect(&self.gateways[gateway % self.gateways.len()]).await?;
        let login = Login {
            app_id: self.app_id,
            user_id: user_id.to_owned(),
            token: token_of(self.app_id, &self.token_key, user_id),
            platform: Platform::Linux.into(),
            device_id: "bench".to_owned(),
            ..Login::default()
        };
        let reply = socket.call(1, Call::Login(login)).await?;
        let Some(reply::Result::Login(result)) = reply.result else {
            return Err(anyhow!("the reply to login has no result of login"));
        };
        Ok((socket, Duration::from_secs(result.heartbeat_seconds.max(1).into())))
    }
}

/// Issues a token as the app's backend would.
pub(crate) fn token_of(app_id: u32, token_key: &str, user_id: &str) -> String {
    let now = token::now();
    let claims = json!({
        "sub": user_id,
        "aud": app_id.to_string(),
        "iat": now,
        "exp": now + TOKEN_LIFE.as_secs(),
    });
    token::jwt("HS256", &claims, token_key.as_bytes())
}
