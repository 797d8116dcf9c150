//! What tests of any crate share: real servers, and a proxy that puts faults on the way to them.

mod nats;
mod proxy;
mod redis;
mod server;

pub use nats::{NatsServer, NatsTraffic};
pub use proxy::{Direction, Fault, Proxy};
pub use redis::{RedisData, RedisServer, RedisTraffic};
pub use server::stop;
