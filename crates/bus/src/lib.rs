//! The bus port and its adapters: changes and heads to all notifiers, reports to one of presence, and replays of the
//! changes that it keeps.
//!
//! Start with [`port::Bus`]. Every adapter passes the suite in `contract` (feature `contract`, for tests).

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod memory;
pub mod nats;
pub mod port;
pub mod subject;

pub use memory::MemoryBus;
pub use nats::NatsBus;
pub use port::{Bus, Error, Kept, Message, Replay, Request, Requests, Start, Subscription};
pub use subject::Subject;
