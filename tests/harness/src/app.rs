//! Apps of a test, their tokens, and logged-in users.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rollcall_client::{Client, Config, Platform};
use rollcall_proto::{
    admin::v1::{CreateAppRequest, UpdateAppRequest, admin_service_client::AdminServiceClient},
    common::v1::{Edition, Limits, LoginPolicy},
    presence::v1::{KickUserRequest, KickUserResponse, user_service_client::UserServiceClient},
    role::Role,
    subscription::v1::{AddFriendsRequest, RemoveFriendsRequest, friend_service_client::FriendServiceClient},
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{
    raw::{Dial, Raw},
    recorder::Recorder,
    rollcall::Addresses,
    token,
};

/// How long a token of a test lives.
const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// How an app is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// The edition.
    pub edition: Edition,
    /// The *status* switch.
    pub status: bool,
    /// The `friend_status` switch.
    pub friend_status: bool,
    /// The limits; a zero stands for the default.
    pub limits: Limits,
    /// The login policy.
    pub login_policy: LoginPolicy,
}

impl Default for Setup {
    /// Everything is allowed, with default limits, and nothing is heard without a subscription. The login policy is MULTI,
    /// where the server's default is SINGLE: most tests are about something else than who kicks whom.
    fn default() -> Self {
        Self {
            edition: Edition::Premium,
            status: true,
            friend_status: false,
            limits: Limits::default(),
            login_policy: LoginPolicy::Multi,
        }
    }
}

impl Setup {
    /// Own status only: edition STANDARD, *status* off.
    pub fn standard() -> Self {
        Self { edition: Edition::Standard, status: false, ..Self::default() }
    }

    /// Edition PREMIUM with *status* off.
    pub fn switched_off() -> Self {
        Self { status: false, ..Self::default() }
    }
}

/// An app that exists.
#[derive(Debug, Clone)]
pub struct App {
    /// Its id, of which no other test of this process has another app.
    pub id: u32,
    /// Its token key.
    pub key: String,
    addresses: Arc<Addresses>,
}

impl App {
    pub(crate) async fn create(addresses: Arc<Addresses>, setup: Setup) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1001);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let request = CreateAppRequest {
            app_id: id,
            edition: setup.edition as i32,
            status: setup.status,
            friend_status: setup.friend_status,
            limits: Some(setup.limits),
            login_policy: setup.login_policy as i32,
        };
        let mut admin = AdminServiceClient::new(addresses.channel(Role::Presence, Role::Operator));
        let created = admin.create_app(request).await.expect("an app can be created").into_inner();
        Self { id, key: created.token_key, addresses }
    }

    /// Changes what the setup says. Services take up to 5 s to hear of it.
    pub async fn set(&self, setup: Setup) {
        let request = UpdateAppRequest {
            app_id: self.id,
            edition: setup.edition as i32,
            status: Some(setup.status),
            friend_status: Some(setup.friend_status),
            limits: Some(setup.limits),
            login_policy: setup.login_policy as i32,
        };
        let mut admin = AdminServiceClient::new(self.addresses.channel(Role::Presence, Role::Operator));
        admin.update_app(request).await.expect("an app can be changed");
    }

    /// Returns the claims of a user's token: good for an hour.
    pub fn claims(&self, user: &str) -> Value {
        json!({ "sub": user, "aud": self.id.to_string(), "iat": now(), "exp": now() + TOKEN_LIFE.as_secs() })
    }

    /// Makes a token for a user: good for an hour.
    pub fn token(&self, user: &str) -> String {
        self.sign(&self.claims(user))
    }

    /// Makes a token of a user's claims after `alter` has changed them.
    pub fn token_with(&self, user: &str, alter: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims(user);
        alter(&mut claims);
        self.sign(&claims)
    }

    /// Makes a token for a user that is good for some seconds: at least `seconds`, and less than one more.
    pub fn token_for(&self, user: &str, seconds: u64) -> String {
        self.token_with(user, |claims| claims["exp"] = json!(now() + seconds + 1))
    }

    /// Kicks a user, as the app's backend does.
    pub async fn kick(&self, user: &str) -> KickUserResponse {
        let channel = self.addresses.channel(Role::Presence, Role::Backend);
        let request = KickUserRequest { app_id: self.id, user_id: user.to_owned() };
        let kicked = UserServiceClient::new(channel).kick_user(request).await;
        kicked.expect("a user can be kicked").into_inner()
    }

    /// Makes a client of the friend service, as the app's backend.
    pub fn friends(&self) -> FriendServiceClient<Channel> {
        FriendServiceClient::new(self.addresses.channel(Role::Subscription, Role::Backend))
    }

    /// Gives a user friends, as the app's backend does.
    pub async fn befriend(&self, user: &str, friends: &[&str]) {
        let (app_id, user_id, friend_ids) = (self.id, user.to_owned(), owned(friends));
        let request = AddFriendsRequest { app_id, user_id, friend_ids };
        self.friends().add_friends(request).await.expect("a user can be given friends");
    }

    /// Takes friends from a user, as the app's backend does.
    pub async fn unfriend(&self, user: &str, friends: &[&str]) {
        let (app_id, user_id, friend_ids) = (self.id, user.to_owned(), owned(friends));
        let request = RemoveFriendsRequest { app_id, user_id, friend_ids };
        self.friends().remove_friends(request).await.expect("friends can be taken from a user");
    }

    /// Signs claims with the app's key, as its backend does.
    pub fn sign(&self, claims: &Value) -> String {
        token::jwt("HS256", claims, self.key.as_bytes())
    }

    /// Logs a user in on a Linux device, with JSON frames. The session heartbeats until told otherwise.
    pub async fn session(&self, user: &str, device: &str) -> Raw {
        self.session_on("PLATFORM_LINUX", user, device).await
    }

    /// Logs a user in on a device of some platform, with JSON frames.
    pub async fn session_on(&self, platform: &str, user: &str, device: &str) -> Raw {
        self.session_by(Dial::new(self.addresses.client()), platform, user, device).await
    }

    /// Logs a user in over a connection of some kind.
    pub async fn session_by(&self, dial: Dial, platform: &str, user: &str, device: &str) -> Raw {
        let mut raw = dial.open().await;
        raw.login_on(self, platform, user, device).await.ok();
        raw
    }

    /// Makes an SDK client of a device, at which nobody is logged in.
    pub fn client(&self, device: &str) -> Client {
        self.client_at(&self.addresses.url(), device)
    }

    /// Makes an SDK client that connects to another address, say of a proxy.
    pub fn client_at(&self, url: &str, device: &str) -> Client {
        let device = device.parse().expect("a test's device id is well formed");
        let mut config = Config::new(url, Platform::Linux, device);
        config.reconnect_base = Duration::from_millis(50);
        config.reconnect_max = Duration::from_millis(500);
        Client::new(config)
    }

    /// Logs a user in with the SDK, and records what its listener hears from the start.
    pub async fn sdk(&self, user: &str, device: &str) -> (Client, Arc<Recorder>) {
        self.sdk_at(&self.addresses.url(), user, device).await
    }

    /// Logs a user in with the SDK at another address, and records what its listener hears from the start.
    pub async fn sdk_at(&self, url: &str, user: &str, device: &str) -> (Client, Arc<Recorder>) {
        let client = self.client_at(url, device);
        let recorder = Arc::new(Recorder::default());
        client.add_listener(Arc::clone(&recorder));
        client.login(self.id, user, &self.token(user)).await.expect("the SDK logs in");
        (client, recorder)
    }
}

fn owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// Returns the present time in seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}
