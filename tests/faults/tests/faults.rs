//! Tests of the faults that the system survives. See the crate.

mod clients;
mod cut_off;
mod feed;
mod flaps;
mod gateways;
mod kicks;
mod late;
mod older_data;
mod outages;
mod repairs;
mod services;
mod stalls;
