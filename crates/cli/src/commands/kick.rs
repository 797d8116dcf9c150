//! `kick`: ends what a user has, and revokes the tokens (SPEC H7).

use rollcall_client::UserId;
use rollcall_proto::presence::v1::{
    KickUserRequest, KickUserResponse, user_service_client::UserServiceClient,
};
use serde::Serialize;

use crate::{
    args::{AdminOptions, Output},
    failure::Failure,
    output,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl kick --app-id 1 --user-id alice

The user becomes UNLOGINED, whatever devices there were. Tokens that were issued until now, in this very second too, are \
refused with 70052; one that is issued later lets the user in again.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// App that the user belongs to
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    app_id: u32,
    /// User to kick
    #[arg(long, env = "ROLLCALL_USER_ID", value_name = "USER_ID")]
    user_id: UserId,
    #[command(flatten)]
    admin: AdminOptions,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    user_id: &'a str,
    sessions: u32,
    revoked_until: u64,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let user_id = args.user_id.as_str();
    let message = KickUserRequest { app_id: args.app_id, user_id: user_id.to_owned() };
    let mut service = UserServiceClient::new(args.admin.server().connect().await?);
    let kicked = service.kick_user(args.admin.server().request(message)).await;
    let KickUserResponse { sessions, revoked_until } = args.admin.server().outcome("kick", kicked)?;
    output::write(&match args.admin.call.output {
        Output::Json => output::json_line(&Line { user_id, sessions, revoked_until })?,
        Output::Table => output::table(
            &[],
            vec![
                vec!["user id".to_owned(), user_id.to_owned()],
                vec!["sessions ended".to_owned(), sessions.to_string()],
                vec!["tokens revoked until".to_owned(), revoked_until.to_string()],
            ],
        ),
    })
}
