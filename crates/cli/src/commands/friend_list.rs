//! `friend list`: the friends of a user (SPEC I1).

use rollcall_client::UserId;
use rollcall_proto::subscription::v1::{
    ListFriendsRequest, ListFriendsResponse, friend_service_client::FriendServiceClient,
};
use serde::Serialize;

use crate::{
    args::{FriendOptions, Output},
    failure::Failure,
    output,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl friend list --app-id 1 --user-id alice
  rollcallctl friend list --app-id 1 --user-id alice --output json | jq -r .friend_id

Ids come in their order. With `--output json` each friend is a line that `friend import --format json` reads.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// User whose friends to list
    #[arg(long, env = "ROLLCALL_USER_ID", value_name = "USER_ID")]
    user_id: UserId,
    #[command(flatten)]
    server: FriendOptions,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    user_id: &'a str,
    friend_id: &'a str,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (options, server) = (&args.server, args.server.server());
    let (app_id, user_id) = (options.app_id, args.user_id.as_str());
    let mut service = FriendServiceClient::new(server.connect().await?);
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let message = ListFriendsRequest { app_id, user_id: user_id.to_owned(), page_size: 0, page_token };
        let listed = service.list_friends(server.request(message)).await;
        let page: ListFriendsResponse = server.outcome("friend list", listed)?;
        // Each page begins after the one before, so they end, whoever is befriended meanwhile.
        ids.extend(page.friend_ids);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    output::write(&match options.call.output {
        Output::Json => {
            let lines = ids.iter().map(|friend_id| output::json_line(&Line { user_id, friend_id }));
            lines.collect::<Result<String, _>>()?
        }
        Output::Table => output::table(&["FRIEND"], ids.into_iter().map(|id| vec![id])),
    })
}
