//! What tests of any crate share: a settable clock, builders, real servers.

mod redis;

pub use redis::RedisServer;
