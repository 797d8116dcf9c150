//! The load generator. It sees the server from outside: WebSocket, gRPC, and what the kernel says of the process.
//!
//! Nothing here asserts a time; what is measured is printed. What a run does assert is that it was served
//! right: no call refused, no version going back, every watcher shown the last state.
//! Start with [`fanout`], the one scenario there is.

mod crowd;
pub mod fanout;
pub mod output;
pub mod percentiles;
pub mod progress;
pub mod server;
pub mod socket;
mod table;
pub mod usage;
