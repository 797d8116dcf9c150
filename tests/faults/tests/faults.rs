//! Tests of the faults that the system survives. See the crate.

mod clients;
mod flaps;
mod gateways;
mod kicks;
mod late;
mod outages;
mod services;
mod stalls;
