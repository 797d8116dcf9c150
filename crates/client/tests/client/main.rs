//! What a real server cannot easily be made to do: the client against a scripted one.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise, its helpers too")]

mod calls;
mod login;
mod reconnect;
mod relocate;
mod server;
mod tokens;
