//! The wire: generated code, and the only conversions between wire, stored records and domain.
//!
//! Start with [`convert`]. [`record`] is the codec of what the store keeps.

pub mod close;
pub mod convert;
mod generated;
pub mod record;
pub mod refusal;
pub mod trace;

pub use generated::{admin, client, common, event, gateway, notifier, presence, subscription};
