//! Typed records over the store: their codec, the loop of read, decide and commit, and the publication of what
//! commits have to tell.
//!
//! Invariant: a record is changed only by a commit that names the version it was decided upon, and what the
//! change has to tell is in the outbox by the same commit. Start with [`Users::apply`].

mod apps;
mod call;
mod codec;
mod commit;
mod counts;
mod error;
mod event;
mod lists;
mod lost;
mod publisher;
mod relay;
mod users;
mod windows;

#[cfg(test)]
mod fixture;

pub use apps::{
    AUDIT_MAX, App, Apps, AuditEntry, AuditPage, Deed, Elapsed, Intent, KeyMaterial, ShownKey, TokenKey,
};
pub use call::Call;
pub use codec::Error as CodecError;
pub use counts::OutboxCounts;
pub use error::Error;
pub use lists::{HeldList, List, Lists, Revised};
pub use publisher::{Publisher, Publishing};
pub use relay::Relay;
pub use users::{Applied, Users};
pub use windows::Windows;
