//! Engines with their calls counted, measured and traced: whichever is behind the port.

mod bus;
mod store;

pub(super) use bus::MeteredBus;
pub(super) use store::MeteredStore;
