//! Subscription: who asked to hear of whom, and who is whose friend.
//!
//! It keeps two lists for each user: an ordered one of subscriptions, which the user changes, and one of friends, which
//! the app's backend does. What a change of a list does to the connections of its user follows from the outbox entry
//! of its commit, which says only that the list has a new version. Start with [`Service`]; what is served is in
//! `subscriptions` and `friends`, and how subscriptions go whose users have left in `idle`.

mod config;
mod error;
mod friends;
mod grpc;
mod idle;
mod metrics;
mod process;
mod service;
mod subscriptions;

pub use config::Config;
pub use error::Error;
pub use service::Service;
