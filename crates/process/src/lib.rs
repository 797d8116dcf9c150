//! What the binaries share: command line, engines, start and stop.
//!
//! Services know ports; which engine is behind each is chosen here, by configuration. Start with [`main`] for a
//! service that is a process of its own, and with [`engines`] for what it stands on.

pub mod addresses;
pub mod args;
mod config;
pub mod engines;
mod error;
mod run;

pub use args::Args;
pub use config::Section;
pub use error::{BoxError, Error, exit};
pub use run::{Process, Provided, main, print};
