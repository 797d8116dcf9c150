//! The gateway: client connections, watchers, last shown statuses.
//!
//! Clients speak frames over a WebSocket or a gRPC stream (`edge`, `connection`, `codec`); the edge may also show a
//! `page`. What connections share is the `hub`: who is here, who watches whom, the last shown status of each. Changes come
//! from a notifier (`link`, `interest`), decisions from presence and subscription (`backend`, `attach`, `friends`), which are read again
//! where changes may have been missed (`resync`; `raise` where the store has lost what is shown), and presence is told who was heard (`reports`) under the name that it
//! knows us by (`boot`); a gateway that it does not answer asks its clients to move (`cut_off`). Nothing here decides what a status is; nothing here is kept when it stops.
//!
//! Start with [`Service`], then `connection.rs` and `hub.rs`.

mod attach;
mod backend;
mod boot;
mod codec;
mod config;
mod connection;
mod cut_off;
mod edge;
mod error;
mod friends;
mod hub;
mod interest;
mod link;
mod metrics;
mod page;
mod process;
mod raise;
mod reports;
mod resync;
mod service;
mod store_clock;
mod trace;

use std::sync::Arc;

use parking_lot::Mutex;
use rollcall_runtime::clock::Clock;

use self::{
    backend::Backend, boot::Registration, cut_off::Contact, friends::FriendLoads, hub::Hub, metrics::Metrics,
    raise::Raises, resync::Resync, store_clock::StoreClock,
};
pub use self::{config::Config, error::Error, page::Page, service::Service};

/// What the parts of a gateway share.
#[derive(Debug)]
struct Gateway {
    config: Config,
    clock: Clock,
    hub: Hub,
    backend: Backend,
    metrics: Metrics,
    registration: Registration,
    contact: Contact,
    store_clock: Mutex<StoreClock>,
    resync: Resync,
    raises: Raises,
    friend_loads: FriendLoads,
}

impl Gateway {
    fn new(config: Config, clock: Clock, backend: Backend, metrics: Metrics) -> Arc<Self> {
        let Config { expiry, token_grace, ends_kept, .. } = config;
        let hub = Hub::new(expiry, token_grace, ends_kept, service::TICK, clock.monotonic());
        let (registration, contact, store_clock) =
            (Registration::default(), Contact::default(), Mutex::default());
        let (resync, raises, friend_loads) = (Resync::default(), Raises::default(), FriendLoads::default());
        Arc::new(Self {
            config,
            clock,
            hub,
            backend,
            metrics,
            registration,
            contact,
            store_clock,
            resync,
            raises,
            friend_loads,
        })
    }
}
