//! The bus on real servers: what every bus must do, and what a server may do to it.

mod differential;
mod given;
mod open;
mod requests;
mod rights;
mod server;
mod stream;
mod tls;

mod contract {
    //! The suite.

    use super::given::Served;

    crate::bus_contract!(Served::start().await);
}
