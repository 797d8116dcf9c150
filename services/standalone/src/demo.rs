//! The demo: an app with two users, made as an operator and the app's backend would make them, and what to do
//! with them.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rollcall_proto::{
    admin::v1::{CreateAppRequest, admin_service_client::AdminServiceClient},
    common::v1::Edition,
};
use rollcall_runtime::{Clock, grpc};
use serde::Serialize;

use crate::{
    error::Error,
    node::{self, Addresses},
};

/// The demo's app.
const APP: u32 = 1_400_000_001;
/// How long the demo's tokens are good for, in seconds: a day.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// An app, PREMIUM with *status* on, and two of its users.
#[derive(Debug, Serialize)]
pub(crate) struct Demo {
    pub(crate) app_id: u32,
    token_key: String,
    pub(crate) tokens: Tokens,
}

/// A token for each of them.
#[derive(Debug, Serialize)]
pub(crate) struct Tokens {
    alice: String,
    bob: String,
}

#[derive(Debug, Serialize)]
struct Claims<'a> {
    sub: &'a str,
    aud: String,
    iat: u64,
    exp: u64,
}

impl Demo {
    /// Creates the app through the admin service, and makes tokens for its users.
    pub(crate) async fn create(addresses: &Addresses, clock: &Clock) -> Result<Self, Error> {
        let mut admin = AdminServiceClient::new(grpc::channel(&node::url(addresses.admin))?);
        let request = CreateAppRequest {
            app_id: APP,
            edition: Edition::Premium as i32,
            status: true,
            ..CreateAppRequest::default()
        };
        let created = admin.create_app(request).await;
        let token_key =
            created.map_err(|status| Error::DemoApp(status.message().to_owned()))?.into_inner().token_key;
        let now = clock.wall().seconds();
        let tokens = Tokens { alice: token(&token_key, "alice", now)?, bob: token(&token_key, "bob", now)? };
        Ok(Self { app_id: APP, token_key, tokens })
    }
}

/// Finds how to call `rollcallctl` from a terminal: the binary beside this one, or else by the name alone.
pub(crate) fn control() -> String {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name("rollcallctl"));
    let Some(path) = beside.filter(|path| path.exists()) else { return "rollcallctl".to_owned() };
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}

/// Says where the process listens, and how to see a change arrive with `rollcallctl` called as `control`.
pub(crate) fn banner(addresses: &Addresses, demo: &Demo, control: &str) -> String {
    let Addresses { client, admin, subscription, notifier, ops } = addresses;
    let command = |user: &str, token: &str, command: &str| {
        format!(
            "{control} {command} --url ws://{client}/v1/connect \
             --app-id {} --user-id {user} --token {token}",
            demo.app_id
        )
    };
    let watch = command("bob", &demo.tokens.bob, "watch alice");
    let set = command("alice", &demo.tokens.alice, "status set 'listening to music'");
    format!(
        "
Rollcall is running. Ctrl-C stops it.

  playground              http://{client}/
  clients                 ws://{client}/v1/connect
  presence and admin      {admin} (gRPC)
  subscription, friends   {subscription} (gRPC)
  notifier                {notifier} (gRPC)
  health and metrics      http://{ops}/readyz, /livez, /metrics
  app                     {} (PREMIUM, status on), token key {}

Open the playground in a browser, and play two users side by side.

Or, to see a change arrive in terminals, open two more in this folder.
The first watches alice, as bob:

{watch}

The second sets alice's custom status, as alice:

{set}

End that one with Ctrl-C, and alice leaves.

",
        demo.app_id, demo.token_key
    )
}

/// Makes a token as the app's backend would: a JWT, HS256, good for a day.
fn token(key: &str, user: &str, now: u64) -> Result<String, Error> {
    let claims = Claims { sub: user, aud: APP.to_string(), iat: now, exp: now + TOKEN_SECONDS };
    let key = EncodingKey::from_secret(key.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(Error::DemoToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_has_all_that_is_pasted() {
        let address = |port| ([127, 0, 0, 1], port).into();
        let addresses = Addresses {
            client: address(1),
            admin: address(2),
            subscription: address(3),
            notifier: address(4),
            ops: address(5),
        };
        let tokens = Tokens { alice: "alice-token".to_owned(), bob: "bob-token".to_owned() };
        let banner = banner(&addresses, &Demo { app_id: APP, token_key: "key".to_owned(), tokens }, "ctl");
        let commands: Vec<&str> = banner.lines().filter(|line| line.starts_with("ctl ")).collect();
        assert_eq!(
            commands,
            [
                "ctl watch alice --url ws://127.0.0.1:1/v1/connect \
                 --app-id 1400000001 --user-id bob --token bob-token",
                "ctl status set 'listening to music' \
                 --url ws://127.0.0.1:1/v1/connect --app-id 1400000001 --user-id alice --token alice-token",
            ]
        );
    }
}
