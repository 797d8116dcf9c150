//! `status set`: the own custom status, kept while this command runs.

use std::time::Duration;

use rollcall_client::{Client, UserStatus};

use crate::{
    args::{ClientOptions, Output},
    clock,
    failure::{Failure, note},
    output::{self, StatusLine},
    session::{self, OnSignal, with_session},
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl status set 'listening to music'            # until Ctrl-C
  rollcallctl status set 'at lunch' --for 45m
  rollcallctl status set 'back at two' --clear-after 30m # clears by itself, the user stays ONLINE
  rollcallctl status set 'on the phone' --once           # kept if another device is connected
  rollcallctl status set --clear

A custom status goes when the user's last connection does. So this command stays connected, and sets the text \
again after a lost connection, until Ctrl-C or the end of `--for`; then it logs out. `--once` and `--clear` log out \
at once: the text then stays only while another device of the user is connected.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to show to others, at most 100 bytes
    #[arg(required_unless_present = "clear", conflicts_with = "clear")]
    text: Option<String>,
    /// Clear the custom status
    #[arg(long)]
    clear: bool,
    /// Log out as soon as the status is stored
    #[arg(long, conflicts_with = "time")]
    once: bool,
    /// Stay connected for this long
    #[arg(long = "for", id = "time", value_parser = humantime::parse_duration, value_name = "DURATION")]
    time: Option<Duration>,
    /// Have the server clear it after this long, 1s to 30 days
    #[arg(long, conflicts_with = "clear", value_parser = humantime::parse_duration, value_name = "DURATION")]
    clear_after: Option<Duration>,
    #[command(flatten)]
    client: ClientOptions,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = session::client(&args.client)?;
    let is_short = args.once || (args.clear && args.time.is_none());
    let on_signal = if is_short { OnSignal::Interrupted } else { OnSignal::Done };
    with_session(&args.client, on_signal, client, async |session| {
        let begun = clock::now();
        let stored = set(session.client(), args.text.as_deref(), args.clear_after).await?;
        output::write(&match args.client.output {
            Output::Table => output::status_table(&[stored]),
            Output::Json => output::json_line(&StatusLine::from(&stored))?,
        })?;
        if is_short {
            return Ok(());
        }
        note("the status is set while this command runs; Ctrl-C ends it");
        session
            .hold(args.time, async |client| {
                // Away, the server cleared it. If the connection is lost again, this is called again.
                let left =
                    args.clear_after.map(|after| after.saturating_sub(clock::now().saturating_sub(begun)));
                if left.is_some_and(|left| left.is_zero()) {
                    return Ok(());
                }
                if let Err(failure) = set(client, args.text.as_deref(), left).await {
                    note(&failure.to_string());
                }
                Ok(())
            })
            .await
    })
    .await
}

async fn set(
    client: &Client,
    text: Option<&str>,
    clear_after: Option<Duration>,
) -> Result<UserStatus, Failure> {
    let stored = match clear_after {
        Some(after) => client.set_self_status_for(text, after).await,
        None => client.set_self_status(text).await,
    };
    stored.map_err(Failure::call("status set"))
}
