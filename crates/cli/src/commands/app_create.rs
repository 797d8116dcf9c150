//! `app create`: a new app and its token key.

use rollcall_proto::admin::v1::CreateAppRequest;

use crate::{
    admin,
    args::{AdminOptions, Edition, LimitOptions, LoginPolicy, Switch},
    failure::Failure,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl app create --app-id 1 --edition premium --status on
  KEY=$(rollcallctl app create --app-id 1 --output json | jq -r .token_key)";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Number of the new app, chosen by you, never 0
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    app_id: u32,
    /// Edition; queries and subscriptions of others need premium
    #[arg(long, value_enum, default_value_t = Edition::Standard)]
    edition: Edition,
    /// Switch for queries, subscriptions and notifications of others' statuses
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    status: Switch,
    /// Switch by which users hear of their friends without a subscription; nothing while --status is off
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    friend_status: Switch,
    /// Login policy: which logins of one user exclude each other
    #[arg(long, value_enum, default_value_t = LoginPolicy::Single)]
    login_policy: LoginPolicy,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    admin: AdminOptions,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let message = CreateAppRequest {
        app_id: args.app_id,
        edition: admin::edition(Some(args.edition)),
        status: args.status == Switch::On,
        friend_status: args.friend_status == Switch::On,
        limits: Some(admin::limits(args.limits)),
        login_policy: admin::login_policy(Some(args.login_policy)),
    };
    let mut service = admin::connect(&args.admin).await?;
    let created = service.create_app(args.admin.server().request(message)).await;
    let created = args.admin.server().outcome("app create", created)?;
    admin::show(args.admin.call.output, created.app, Some(&created.token_key))
}
