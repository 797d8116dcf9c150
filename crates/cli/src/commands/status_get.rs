//! `status get`: the statuses of users, asked for once.

use crate::{
    args::{ClientOptions, Output},
    failure::{Failure, note},
    output::{self, FailureLine, StatusLine},
    session::{self, OnSignal, with_session},
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl status get alice bob
  rollcallctl status get alice --output json | jq -r .general

The app must be premium and its status switch on, unless the only id is the user's own: then it is told, too, on which \
platforms the user is. Ids that cannot be read are reported and make the exit code 1; with `--output json` each is a line \
with `user_id`, `code` and `description`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Users to ask for, at most 500
    #[arg(required = true, value_name = "USER_ID")]
    ids: Vec<String>,
    #[command(flatten)]
    client: ClientOptions,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = session::client(&args.client)?;
    with_session(&args.client, OnSignal::Interrupted, client, async |session| {
        let read = session.client().get_user_status(&args.ids).await.map_err(Failure::call("status get"))?;
        let (failed, asked) = (read.failures.len(), read.failures.len() + read.statuses.len());
        match args.client.output {
            Output::Table => {
                output::write(&output::status_table(&read.statuses))?;
                if let Some(text) = read.own.as_ref().and_then(output::detail_note) {
                    note(&text);
                }
                for failure in &read.failures {
                    note(&format!("{}: {}", failure.user_id, failure.error));
                }
            }
            Output::Json => {
                let statuses = read
                    .statuses
                    .iter()
                    .map(|status| output::json_line(&StatusLine::own(status, read.own.as_ref())));
                let failures =
                    read.failures.iter().map(|failure| output::json_line(&FailureLine::from(failure)));
                output::write(&statuses.chain(failures).collect::<Result<String, _>>()?)?;
            }
        }
        if failed > 0 { Err(Failure::SomeFailed { failed, asked }) } else { Ok(()) }
    })
    .await
}
