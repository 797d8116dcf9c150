//! The Rust SDK of Rollcall: log in, set one's own status, ask for the statuses of others, and hear of changes.
//!
//! A [`Client`] is one device of one user. It keeps its connection alive, connects and logs in again by itself
//! when the connection is lost, and raises the callbacks of its [`Listener`]s for differences only. Every call
//! ends exactly once, with success or with an [`Error`]: a [`Code`] and a description.
//!
//! ```no_run
//! use rollcall_client::{Client, Config, Listener, Platform, UserStatus};
//!
//! struct Printer;
//!
//! impl Listener for Printer {
//!     fn on_user_status_changed(&self, statuses: &[UserStatus]) {
//!         for status in statuses {
//!             println!("{}: {} {:?}", status.user_id, status.general, status.custom);
//!         }
//!     }
//! }
//!
//! # async fn run(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new("ws://127.0.0.1:7700/v1/connect", Platform::Linux, "desk-1".parse()?);
//! let client = Client::new(config);
//! client.add_listener(Printer);
//! client.login(1, "alice", token).await?;
//! client.set_self_status(Some("listening to music")).await?;
//! client.subscribe_user_status(&["bob"]).await?;
//! # Ok(()) }
//! ```
//!
//! Where to start reading: `client` is the surface; behind it one task, `client/driver`, owns everything that
//! changes, and `client/session` is what that task does while it is connected.

mod client;
mod clock;
mod config;
mod error;
mod status;

pub use client::{
    Client,
    listener::{Listener, ListenerId},
};
pub use config::Config;
pub use error::Error;
pub use rollcall_domain::{
    code::Code,
    id::{DeviceId, Platform, UserId},
};
pub use status::{General, LoginInfo, OnlineDetail, Subscribed, UserFailure, UserStatus, UserStatuses};
