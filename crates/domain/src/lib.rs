//! The rules of user status, pure: no tokio, no IO, no clock. Time is an argument, work is returned.
//!
//! Start with [`user::UserState`], the state machine of one user, [`subscription::SubscriptionList`], and
//! [`friend::FriendList`]. [`id`] holds the words that every other crate speaks, [`code`] the closed set of answers to a caller.

pub mod app;
pub mod code;
pub mod digest;
pub mod epoch;
pub mod friend;
pub mod id;
pub mod partition;
pub mod policy;
pub mod status;
pub mod subscription;
pub mod time;
pub mod user;
