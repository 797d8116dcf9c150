//! Subscription: who asked to hear of whom.
//!
//! It keeps one ordered list for each user. What a change of a list does to the connections of its user follows
//! from the outbox entry of its commit, which says only that the list has a new version. Start with
//! [`Service`]; what is served is in `subscriptions`, and how lists go whose users have left in `idle`.

mod config;
mod error;
mod grpc;
mod idle;
mod metrics;
mod process;
mod service;
mod subscriptions;

pub use config::Config;
pub use error::Error;
pub use service::Service;
