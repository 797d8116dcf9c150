//! The store on real servers: what every store must do, and what a server may do to it.

mod budget;
mod differential;
mod given;
mod late;
mod leases;
mod open;
mod server;
mod versions;
mod windows;

mod contract {
    //! The suite.

    use super::given::Served;

    crate::store_contract!(Served::start().await);
}
