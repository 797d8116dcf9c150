//! The wire: generated code, and the only conversions between wire and domain.
//!
//! Start with [`convert`]; who may call which service stands in [`role`], and how a client's frames travel over a gRPC
//! stream in [`messages`].

pub mod again;
pub mod close;
pub mod convert;
mod generated;
pub mod messages;
pub mod missed;
pub mod refusal;
pub mod role;
pub mod trace;

/// The contracts as an encoded `google.protobuf.FileDescriptorSet`, with their comments, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

pub use generated::{admin, client, common, event, gateway, notifier, presence, subscription};
