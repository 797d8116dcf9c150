//! What tests of any crate share: a settable clock, builders, real servers.

mod nats;
mod redis;
mod server;

pub use nats::NatsServer;
pub use redis::RedisServer;
