//! The binary `rollcall`: gateway, presence, subscription and notifier in one process, over a store and a bus in
//! memory, or on Redis and NATS.
//!
//! The services are those that run apart elsewhere, and they meet here as there: in gRPC, over the loopback, and
//! on the bus. State in memory lives as long as the process. Start with [`run`].

mod args;
mod config;
mod demo;
mod error;
mod node;
mod playground;
mod run;

pub use args::Args;
pub use config::Config;
pub use error::Error;
pub use run::run;
