//! Tests of the faults that the system survives. See the crate.

mod gateways;
mod services;
