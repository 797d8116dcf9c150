//! The notifier: hears every change from the bus, and routes each to the gateways that have interest in its user.
//!
//! A gateway's interest lives in its stream and nowhere else. What waits for a gateway lies in slots, one for
//! each user and kind, the latest wins: bounded by its interest, and no gateway waits for another. Internal services
//! that want every change, and those they were away for, follow the feed instead. Start with
//! [`Service`]; the rules are in `interest`, `slots` and `positions`, which are pure, and `router` joins them; those of the feed
//! are in `feed::order`.

mod config;
mod error;
mod event;
mod feed;
mod grpc;
mod interest;
mod mailbox;
mod metrics;
mod positions;
mod process;
mod router;
mod service;
mod slots;

pub use config::Config;
pub use error::Error;
pub use service::Service;
