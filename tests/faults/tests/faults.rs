//! Tests of the faults that the system survives. See the crate.

mod clients;
mod flaps;
mod gateways;
mod late;
mod services;
mod stalls;
