//! `friend add`: gives a user friends (SPEC I1).

use rollcall_client::UserId;
use rollcall_proto::subscription::v1::{AddFriendsRequest, friend_service_client::FriendServiceClient};
use serde::Serialize;

use crate::{
    args::{FriendOptions, Output},
    failure::Failure,
    output,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl friend add --app-id 1 --user-id alice bob carol
  rollcallctl friend add --app-id 1 --user-id bob alice

The user hears of their friends without subscribing, while the app's switches `status` and `friend-status` are on. The \
friends do not hear of the user by that: the other direction is an edge of its own. Who is a friend already is no error.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// User who will hear of the others
    #[arg(long, env = "ROLLCALL_USER_ID", value_name = "USER_ID")]
    user_id: UserId,
    /// The others, at most 1000
    #[arg(required = true, value_name = "FRIEND_ID")]
    friend_ids: Vec<UserId>,
    #[command(flatten)]
    server: FriendOptions,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    user_id: &'a str,
    added: &'a [String],
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (options, server) = (&args.server, args.server.server());
    let user_id = args.user_id.as_str();
    let message = AddFriendsRequest {
        app_id: options.app_id,
        user_id: user_id.to_owned(),
        friend_ids: args.friend_ids.iter().map(ToString::to_string).collect(),
    };
    let mut service = FriendServiceClient::new(server.connect().await?);
    let added = service.add_friends(server.request(message)).await;
    let added = server.outcome("friend add", added)?.added;
    output::write(&match options.call.output {
        Output::Json => output::json_line(&Line { user_id, added: &added })?,
        Output::Table => output::table(&["ADDED"], added.into_iter().map(|id| vec![id])),
    })
}
