//! The command line.

use std::{fmt, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use rollcall_client::{DeviceId, Platform};

use crate::commands::{
    admin_token, app_audit, app_create, app_key, app_set, app_show, certs, events, friend_add, friend_import,
    friend_list, friend_remove, kick, status_get, status_set, subscribe, token, watch,
};

const ABOUT: &str = "\
Creates apps and tokens on a Rollcall server, sets and shows the statuses of users, and watches them change.";

const EXAMPLES: &str = "\
Examples, with a server on this machine:
  # an app, and a token for each of two users (`app create` prints the key)
  rollcallctl app create --app-id 1 --edition premium --status on
  export ROLLCALL_APP_ID=1 ROLLCALL_KEY=<the key>
  ALICE=$(rollcallctl token --user-id alice) BOB=$(rollcallctl token --user-id bob)

  # bob watches alice in one terminal, alice says what she does in another
  rollcallctl watch alice --user-id bob --token $BOB
  rollcallctl status set 'listening to music' --user-id alice --token $ALICE

  # a cluster with mutual TLS: its certificates, and how an operator shows one
  rollcallctl certs certs
  export ROLLCALL_ADMIN=https://presence.example.org:7701
  export ROLLCALL_SUBSCRIPTION=https://subscription.example.org:7702
  export ROLLCALL_CA=certs/ca.pem ROLLCALL_CERT=certs/operator.pem ROLLCALL_CERT_KEY=certs/operator.key

Exit codes:
  0  done; also for a command that was told to stop by Ctrl-C after it did its work
  1  refused by the server, or failed: the message ends with the code
  2  wrong usage
  3  the server cannot be reached or did not answer in time, or a time ran out

Errors are one line on standard error. Options with [env] can be set in the environment.";

/// The command line of rollcallctl.
#[derive(Debug, Parser)]
#[command(name = "rollcallctl", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Creates, shows and changes apps
    #[command(subcommand)]
    App(App),
    /// Makes the certificates by which the processes of a cluster, backends and operators know each other
    Certs(certs::Args),
    /// Makes a token for an operator, and the line by which the server knows it
    AdminToken(admin_token::Args),
    /// Makes a token for a user, as the app's backend would
    Token(token::Args),
    /// Ends all sessions of a user and revokes the tokens issued so far, as the app's backend would
    Kick(kick::Args),
    /// Adds, removes, lists and imports the friends of users, as the app's backend would
    #[command(subcommand)]
    Friend(Friend),
    /// Shows and sets statuses
    #[command(subcommand)]
    Status(Status),
    /// Subscribes a user to others and shows the subscription list
    Subscribe(subscribe::Args),
    /// Shows statuses as they change, until Ctrl-C
    Watch(watch::Args),
    /// Shows every change of an app or of all apps, from now on or since some time, until Ctrl-C
    Events(events::Args),
}

#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Creates an app and shows it, with its token key: the key is shown this once
    Create(app_create::Args),
    /// Shows an app
    Show(app_show::Args),
    /// Changes what is named of an app, and shows it; takes effect everywhere within 5 seconds
    Set(app_set::Args),
    /// Adds, lists and removes the keys by which tokens of an app are checked
    Key(app_key::Args),
    /// Shows who changed what of an app, the latest change first
    Audit(app_audit::Args),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Friend {
    /// Adds friends to a user, all of them or none
    Add(friend_add::Args),
    /// Removes friends from a user
    Remove(friend_remove::Args),
    /// Lists the friends of a user
    List(friend_list::Args),
    /// Adds the friends of many users, from a file or standard input
    Import(friend_import::Args),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Status {
    /// Shows the statuses of users
    Get(status_get::Args),
    /// Sets or clears the user's own custom status, and stays connected to keep it
    Set(status_set::Args),
}

/// How output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns for people; control characters are shown escaped
    Table,
    /// One JSON object on each line, for scripts
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Edition {
    Standard,
    Premium,
}

/// Which logins of one user exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginPolicy {
    /// One session in all
    Single,
    /// One native session and one on the web
    Dual,
    /// One mobile session, one on the desktop, and one on the web
    Triple,
    /// One session on each platform; with premium 3 on each native platform, and 10 on the web
    Multi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// Options of commands that log in as a user.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Who logs in, and where")]
pub(crate) struct ClientOptions {
    /// App that the user belongs to
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    pub(crate) app_id: u32,
    /// User that logs in
    #[arg(long, env = "ROLLCALL_USER_ID", value_name = "USER_ID")]
    pub(crate) user_id: String,
    /// Token of the user, as printed by `rollcallctl token`; better given by the environment, since other users
    /// of this machine can read command lines
    #[arg(long, env = "ROLLCALL_TOKEN", hide_env_values = true, value_name = "JWT")]
    pub(crate) token: String,
    /// Address of the gateway: ws://host:port/v1/connect, or grpc://host:port for a gRPC stream
    #[arg(long, env = "ROLLCALL_URL", default_value = "ws://127.0.0.1:7700/v1/connect")]
    pub(crate) url: String,
    /// Kind of device: ANDROID, IPHONE, IPAD, WINDOWS, MAC, LINUX or WEB
    #[arg(long, default_value = "LINUX")]
    pub(crate) platform: Platform,
    /// Name of the device; the same name again replaces the older session [default: a random one]
    #[arg(long, value_name = "DEVICE_ID")]
    pub(crate) device_id: Option<DeviceId>,
    /// Longest wait for the login and for each answer
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// How to write the output
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// Options of commands for operators that are about apps and users.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct AdminOptions {
    /// Address of the admin service; https:// with the three options of certificates
    #[arg(long, env = "ROLLCALL_ADMIN", value_name = "URL", default_value = "http://127.0.0.1:7701")]
    pub(crate) admin: String,
    /// Token of an operator, as printed by `rollcallctl admin-token`, where the server has a file of credentials; better
    /// given by the environment, since other users of this machine can read command lines
    #[arg(long, env = "ROLLCALL_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) admin_token: Option<Secret>,
    #[command(flatten)]
    pub(crate) call: CallOptions,
}

/// Options of commands for operators that are about friends.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct FriendOptions {
    /// App that the users belong to
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    pub(crate) app_id: u32,
    /// Address of the subscription service, which keeps friends; https:// with the three options of certificates
    #[arg(long, env = "ROLLCALL_SUBSCRIPTION", value_name = "URL", default_value = "http://127.0.0.1:7702")]
    pub(crate) subscription: String,
    #[command(flatten)]
    pub(crate) call: CallOptions,
}

/// Options of commands for operators that are about the feed of changes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct FeedOptions {
    /// Address of a notifier, which brings changes; https:// with the three options of certificates
    #[arg(long, env = "ROLLCALL_NOTIFIER", value_name = "URL", default_value = "http://127.0.0.1:7703")]
    pub(crate) notifier: String,
    #[command(flatten)]
    pub(crate) call: CallOptions,
}

/// Options of all commands for operators.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CallOptions {
    /// Certificate of the authority that the server is signed by, as `rollcallctl certs` writes ca.pem
    #[arg(long, env = "ROLLCALL_CA", value_name = "FILE", requires_all = ["cert", "cert_key"])]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate of an operator, as operator.pem
    #[arg(long, env = "ROLLCALL_CERT", value_name = "FILE", requires_all = ["ca", "cert_key"])]
    pub(crate) cert: Option<PathBuf>,
    /// Its key, as operator.key
    #[arg(long, env = "ROLLCALL_CERT_KEY", value_name = "FILE", requires_all = ["ca", "cert"])]
    pub(crate) cert_key: Option<PathBuf>,
    /// Longest wait for the answer
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// How to write the output
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// A text that is never shown.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Limits of an app; those not named are left, or stand at their defaults in a new app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct LimitOptions {
    /// Ids in one status query, 1 to 500
    #[arg(long = "limit-query-ids", id = "limit_query_ids", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) query_ids: Option<u32>,
    /// Ids in one subscribe or unsubscribe, 1 to 100
    #[arg(long = "limit-subscribe-ids", id = "limit_subscribe_ids", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) subscribe_ids: Option<u32>,
    /// Subscriptions of one user, 1 to 200
    #[arg(long = "limit-subscriptions", id = "limit_subscriptions", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) subscriptions: Option<u32>,
    /// Queries of others, and as many subscribes and unsubscribes, of one user in any 5 s, 1 to 20
    #[arg(long = "limit-window-calls", id = "limit_window_calls", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) window_calls: Option<u32>,
    /// Friends of one user, 1 to 3000
    #[arg(long = "limit-friends", id = "limit_friends", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=3_000))]
    pub(crate) friends: Option<u32>,
}

#[cfg(test)]
mod tests;
