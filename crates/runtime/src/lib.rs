//! What every process needs: clock, randomness, back-off, configuration, logs, gRPC set-up with health and mutual TLS, metrics,
//! the endpoint for an operator's tools, shutdown, supervision.
//!
//! Each has one owner here, so that a service neither reads time, environment and entropy by itself nor opens a
//! server without limits. Start with [`config::load`] and [`grpc::serve`].

pub mod backoff;
pub mod clock;
pub mod config;
pub mod error;
pub mod grpc;
pub mod metrics;
pub mod ops;
pub mod rng;
pub mod shutdown;
pub mod supervise;
pub mod telemetry;
pub mod tls;
pub mod trace;

pub use clock::{Clock, Monotonic};
pub use error::Error;
