//! Starts the real `rollcall` for a test, and speaks to it as its users do: over a WebSocket or a gRPC stream by hand
//! ([`Raw`]),
//! with the SDK ([`Recorder`] hears what it raises), with the CLI ([`Process`]), and over gRPC.
//!
//! Invariant: nothing here knows how the services work, so a test that uses it holds for any deployment. A test
//! owns its processes: they end with it, and what they logged is shown when it fails. Start with [`Rollcall`].
//!
//! ```no_run
//! use rollcall_harness::{General, Rollcall};
//!
//! # async fn example() {
//! let rollcall = Rollcall::start().await;
//! let app = rollcall.app().await;
//! let mut alice = app.session("alice", "phone").await;
//! alice.subscribe(&["bob"]).await.ok();
//! let bob = app.session("bob", "phone").await;
//! alice.expect("bob", |status| status.general == General::Online).await;
//! # drop(bob); }
//! ```

mod app;
mod certs;
mod deployment;
mod links;
mod metrics;
mod process;
mod raw;
mod recorder;
mod rollcall;
pub mod token;
mod wait;

pub use app::{App, Setup};
pub use certs::Certs;
pub use deployment::{Deployment, Engines};
pub use links::Link;
pub use metrics::{Metrics, ask};
pub use process::Process;
pub use raw::{Codec, Dial, Raw, reply::Reply};
pub use recorder::{Heard, Recorder};
pub use rollcall::{Addresses, Builder, Rollcall, stream_url_of, url_of};
pub use tokio_tungstenite::tungstenite;
pub use wait::{PATIENCE, eventually, within};

pub use rollcall_client::{Client, General, UserStatus};
pub use rollcall_proto::common::v1::LoginPolicy;
pub use rollcall_testkit::{Direction, Fault, Proxy};
