//! `app set`: changes what is named of an app, and leaves the rest.

use rollcall_proto::admin::v1::UpdateAppRequest;

use crate::{
    admin,
    args::{AdminOptions, Edition, LimitOptions, LoginPolicy, Switch},
    failure::Failure,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl app set --app-id 1 --status off
  rollcallctl app set --app-id 1 --edition premium --limit-subscriptions 50
  rollcallctl app set --app-id 1 --login-policy multi";

/// The options that change something; one of them must be there.
const CHANGES: [&str; 9] = [
    "edition",
    "status",
    "friend_status",
    "login_policy",
    "limit_query_ids",
    "limit_subscribe_ids",
    "limit_subscriptions",
    "limit_window_calls",
    "limit_friends",
];

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("changes").args(CHANGES).multiple(true).required(true))]
pub(crate) struct Args {
    /// Number of the app
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    app_id: u32,
    /// Edition; queries and subscriptions of others need premium
    #[arg(long, value_enum)]
    edition: Option<Edition>,
    /// Switch for queries, subscriptions and notifications of others' statuses
    #[arg(long, value_enum)]
    status: Option<Switch>,
    /// Switch by which users hear of their friends without a subscription; nothing while --status is off
    #[arg(long, value_enum)]
    friend_status: Option<Switch>,
    /// Login policy; nobody is kicked by the change itself, but at the user's next login
    #[arg(long, value_enum)]
    login_policy: Option<LoginPolicy>,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    admin: AdminOptions,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let message = UpdateAppRequest {
        app_id: args.app_id,
        edition: admin::edition(args.edition),
        status: args.status.map(|status| status == Switch::On),
        friend_status: args.friend_status.map(|status| status == Switch::On),
        limits: Some(admin::limits(args.limits)),
        login_policy: admin::login_policy(args.login_policy),
    };
    let mut service = admin::connect(&args.admin).await?;
    let updated = service.update_app(args.admin.server().request(message)).await;
    admin::show(args.admin.call.output, args.admin.server().outcome("app set", updated)?.app, None)
}
