//! `subscribe`: puts users on the subscription list, and shows it.

use rollcall_client::UserId;
use serde::Serialize;

use crate::{
    args::{ClientOptions, Output},
    failure::Failure,
    output,
    session::{self, OnSignal, with_session},
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl subscribe alice carol
  rollcallctl subscribe alice --output json | jq -r '.subscriptions[]'

The app must be premium and its status switch on. Subscriptions belong to the user: all devices hear of the \
changes, now and later, until 24 hours after the user was last online. A user has at most 200; beyond that the least \
recently subscribed go, and are shown as evicted. To see the changes here, use `rollcallctl watch`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Users to subscribe to, at most 100
    #[arg(required = true, value_name = "USER_ID")]
    ids: Vec<String>,
    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    subscriptions: Vec<&'a str>,
    evicted: Vec<&'a str>,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = session::client(&args.client)?;
    with_session(&args.client, OnSignal::Interrupted, client, async |session| {
        let client = session.client();
        let subscribed = client.subscribe_user_status(&args.ids).await.map_err(Failure::call("subscribe"))?;
        let list = client.list_subscriptions().await.map_err(Failure::call("subscribe"))?;
        output::write(&text(args.client.output, &list, &subscribed.evicted)?)
    })
    .await
}

fn text(output: Output, list: &[UserId], evicted: &[UserId]) -> Result<String, Failure> {
    match output {
        Output::Table => {
            let row = |state: &str, id: &UserId| vec![id.to_string(), state.to_owned()];
            let rows = list.iter().map(|id| row("subscribed", id));
            let rows = rows.chain(evicted.iter().map(|id| row("evicted", id)));
            Ok(output::table(&["USER", "SUBSCRIPTION"], rows))
        }
        Output::Json => output::json_line(&Line {
            subscriptions: list.iter().map(UserId::as_str).collect(),
            evicted: evicted.iter().map(UserId::as_str).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_shown_earliest_first_with_what_was_evicted() {
        let ids =
            |names: &[&str]| -> Vec<UserId> { names.iter().map(|name| name.parse().unwrap()).collect() };
        let (list, evicted) = (ids(&["b", "alice"]), ids(&["old"]));
        assert_eq!(
            text(Output::Json, &list, &evicted).unwrap(),
            "{\"subscriptions\":[\"b\",\"alice\"],\"evicted\":[\"old\"]}\n"
        );
        assert_eq!(
            text(Output::Table, &list, &evicted).unwrap(),
            "USER   SUBSCRIPTION\nb      subscribed\nalice  subscribed\nold    evicted\n"
        );
    }
}
