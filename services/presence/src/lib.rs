//! Presence: who is online, and what they say they are doing.
//!
//! It adds and ends sessions, keeps their deadlines moving while their gateways report them heard, asks about those
//! whose deadline has passed, verifies tokens, and keeps the configuration of apps. All that lasts is in the
//! store: any number of instances may serve. Start with [`Service`]; the loops are in `reports`, `sweep` and `clears`,
//! what gateways call in `sessions`, when a session ends whose gateway lives in `overdue`, what is left undone while the store
//! may have lost something in `quiet`.

mod admin;
mod beacon;
mod clears;
mod config;
mod error;
mod gate;
mod grpc;
mod leases;
mod metrics;
mod overdue;
mod process;
mod quiet;
mod reports;
mod service;
mod sessions;
mod sweep;
mod tokens;

#[cfg(test)]
mod fixture;

pub use config::Config;
pub use error::Error;
pub use service::Service;
