//! The store on real servers: what every store must do, and what a server may do to it.

mod given;

mod contract {
    //! The suite.

    use super::given::Served;

    crate::store_contract!(Served::start().await);
}
