//! `app show`: an app as it is stored.

use rollcall_proto::admin::v1::GetAppRequest;

use crate::{admin, args::AdminOptions, failure::Failure};

const EXAMPLES: &str = "\
Examples:
  rollcallctl app show --app-id 1
  rollcallctl app show --app-id 1 --output json | jq .limits";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Number of the app
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    app_id: u32,
    #[command(flatten)]
    admin: AdminOptions,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let message = GetAppRequest { app_id: args.app_id };
    let mut service = admin::connect(&args.admin).await?;
    let read = service.get_app(args.admin.server().request(message)).await;
    admin::show(args.admin.call.output, args.admin.server().outcome("app show", read)?.app, None)
}
