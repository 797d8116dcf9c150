//! `friend remove`: takes friends from a user (SPEC I1).

use rollcall_client::UserId;
use rollcall_proto::subscription::v1::{RemoveFriendsRequest, friend_service_client::FriendServiceClient};
use serde::Serialize;

use crate::{
    args::{FriendOptions, Output},
    failure::Failure,
    output,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl friend remove --app-id 1 --user-id alice bob carol

The user hears of them no more, unless subscribed. Who is no friend is no error.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// User who will hear of the others no more
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
    removed: &'a [String],
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (options, server) = (&args.server, args.server.server());
    let user_id = args.user_id.as_str();
    let message = RemoveFriendsRequest {
        app_id: options.app_id,
        user_id: user_id.to_owned(),
        friend_ids: args.friend_ids.iter().map(ToString::to_string).collect(),
    };
    let mut service = FriendServiceClient::new(server.connect().await?);
    let removed = service.remove_friends(server.request(message)).await;
    let removed = server.outcome("friend remove", removed)?.removed;
    output::write(&match options.call.output {
        Output::Json => output::json_line(&Line { user_id, removed: &removed })?,
        Output::Table => output::table(&["REMOVED"], removed.into_iter().map(|id| vec![id])),
    })
}
