//! The load generator. It sees the server from outside: WebSocket, gRPC, and what the kernel says of the process.
//!
//! Nothing here asserts a time; what is measured is printed. What a run does assert is that it was served
//! right: no call refused, no version going back, every watcher shown the last state.
//! Start with a scenario: [`fanout`] measures what a server uses, [`gateway`] what many connections cost the process that
//! holds them, beside a peer, and [`traffic`] counts what Redis and NATS carry.

mod crowd;
pub mod fanout;
pub mod gateway;
pub mod output;
pub mod percentiles;
pub mod progress;
pub mod server;
pub mod socket;
mod table;
pub mod traffic;
pub mod usage;
