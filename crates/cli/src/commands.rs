//! The commands, one module for each: its options, and what it does.

pub(crate) mod admin_token;
pub(crate) mod app_audit;
pub(crate) mod app_create;
pub(crate) mod app_key;
pub(crate) mod app_set;
pub(crate) mod app_show;
pub(crate) mod certs;
pub(crate) mod events;
pub(crate) mod friend_add;
pub(crate) mod friend_import;
pub(crate) mod friend_list;
pub(crate) mod friend_remove;
pub(crate) mod kick;
pub(crate) mod status_get;
pub(crate) mod status_set;
pub(crate) mod subscribe;
pub(crate) mod token;
pub(crate) mod watch;

use crate::{
    args::{App, Command, Friend, Status},
    failure::Failure,
};

/// Runs a command to its end.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::App(App::Create(args)) => app_create::run(args).await,
        Command::App(App::Show(args)) => app_show::run(args).await,
        Command::App(App::Set(args)) => app_set::run(args).await,
        Command::App(App::Key(args)) => app_key::run(args).await,
        Command::App(App::Audit(args)) => app_audit::run(args).await,
        Command::AdminToken(args) => admin_token::run(&args),
        Command::Certs(args) => certs::run(&args),
        Command::Events(args) => events::run(args).await,
        Command::Kick(args) => kick::run(args).await,
        Command::Friend(Friend::Add(args)) => friend_add::run(args).await,
        Command::Friend(Friend::Remove(args)) => friend_remove::run(args).await,
        Command::Friend(Friend::List(args)) => friend_list::run(args).await,
        Command::Friend(Friend::Import(args)) => friend_import::run(args).await,
        Command::Token(args) => token::run(&args),
        Command::Status(Status::Get(args)) => status_get::run(args).await,
        Command::Status(Status::Set(args)) => status_set::run(args).await,
        Command::Subscribe(args) => subscribe::run(args).await,
        Command::Watch(args) => watch::run(args).await,
    }
}
