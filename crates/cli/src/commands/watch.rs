//! `watch`: statuses as they change.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rollcall_client::{Client, Listener, UserStatus};
use tokio::sync::Notify;

use crate::{
    args::{ClientOptions, Output},
    clock,
    failure::{Failure, note},
    output::{self, LiveTable, StatusLine},
    session::{self, OnSignal, with_session},
};

/// Most ids of one call (SPEC D1).
const IDS_PER_CALL: usize = 100;

const EXAMPLES: &str = "\
Examples:
  rollcallctl watch alice carol
  rollcallctl watch --output json | jq -r 'select(.general == \"ONLINE\").user_id'
  rollcallctl watch alice --count 2 --for 10s            # exit code 3 if there were fewer

Subscribes the user to the ids and shows their present statuses, then each change. Without ids it shows all that \
the user hears of: the own status, what was subscribed before, friends. Subscriptions stay when the command ends, \
since they belong to the user. With `--output json` each change is one line:
  {\"user_id\":\"alice\",\"general\":\"ONLINE\",\"custom\":\"at lunch\",\"version\":1700000000000000}";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Users to watch, at most 200; the own id is allowed
    #[arg(value_name = "USER_ID", num_args = 0..=200)]
    ids: Vec<String>,
    /// End after this many changes; a present status counts as one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time; with --count, having seen fewer changes is a failure then
    #[arg(long = "for", value_parser = humantime::parse_duration, value_name = "DURATION")]
    time: Option<Duration>,
    #[command(flatten)]
    client: ClientOptions,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = session::client(&args.client)?;
    let printer = Arc::new(Printer::new(&args));
    client.add_listener(printer.clone());
    with_session(&args.client, OnSignal::Done, client, async |session| {
        let work = async {
            subscribe(session.client(), &args).await?;
            session.hold(args.time, async |_| Ok(())).await?;
            printer.time_is_over(args.count)
        };
        tokio::select! {
            ended = work => ended,
            ended = printer.done() => ended,
        }
    })
    .await
}

async fn subscribe(client: &Client, args: &Args) -> Result<(), Failure> {
    let others: Vec<&String> = args.ids.iter().filter(|id| **id != args.client.user_id).collect();
    for ids in others.chunks(IDS_PER_CALL) {
        let subscribed = client.subscribe_user_status(ids).await.map_err(Failure::call("watch"))?;
        for id in subscribed.evicted {
            note(&format!("the subscription list was full, {id} was evicted"));
        }
    }
    let watched = match args.ids.as_slice() {
        [] => "all that this user hears of".to_owned(),
        ids @ ([_] | [_, _] | [_, _, _]) => ids.join(", "),
        ids => format!("{} users", ids.len()),
    };
    note(&format!("watching {watched}; Ctrl-C ends it"));
    Ok(())
}

/// Writes each change when it comes. While standard output is slow the client waits with it, and folds what comes
/// meanwhile into the latest status of each user.
struct Printer {
    ids: BTreeSet<String>,
    output: Output,
    live: LiveTable,
    state: Mutex<State>,
    done: Notify,
}

struct State {
    /// How many more changes to show; none means no end.
    left: Option<u64>,
    has_header: bool,
    failure: Option<Failure>,
}

impl Printer {
    fn new(args: &Args) -> Self {
        Self {
            ids: args.ids.iter().cloned().collect(),
            output: args.client.output,
            live: LiveTable::new(args.ids.iter().map(String::as_str)),
            state: Mutex::new(State { left: args.count, has_header: false, failure: None }),
            done: Notify::new(),
        }
    }

    /// Waits until as much was shown as was asked for, or showing failed.
    async fn done(&self) -> Result<(), Failure> {
        self.done.notified().await;
        self.state.lock().failure.take().map_or(Ok(()), Err)
    }

    fn time_is_over(&self, count: Option<u64>) -> Result<(), Failure> {
        match (count, self.state.lock().left) {
            (Some(count), Some(left)) if left > 0 => {
                let seen = count - left;
                Err(Failure::TimeRanOut(format!("time ran out with {seen} of {count} changes seen")))
            }
            _ => Ok(()),
        }
    }

    /// Returns what to write for these statuses; notes whether that was all.
    fn lines(&self, state: &mut State, statuses: &[UserStatus]) -> Result<String, Failure> {
        let mut lines = String::new();
        for status in statuses {
            if !self.ids.is_empty() && !self.ids.contains(status.user_id.as_str()) || state.left == Some(0) {
                continue;
            }
            state.left = state.left.map(|left| left - 1);
            match self.output {
                Output::Json => lines += &output::json_line(&StatusLine::from(status))?,
                Output::Table => {
                    if !state.has_header {
                        state.has_header = true;
                        lines += &self.live.header();
                    }
                    lines += &self.live.row(status, clock::now());
                }
            }
        }
        Ok(lines)
    }
}

impl Listener for Printer {
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        let mut state = self.state.lock();
        let written = self.lines(&mut state, statuses).and_then(|lines| output::write(&lines));
        let failed = written.is_err();
        if let Err(failure) = written {
            state.failure = Some(failure);
        }
        if failed || state.left == Some(0) {
            self.done.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use rollcall_client::General;

    use super::*;
    use crate::args::{Cli, Command};

    fn printer(extra: &[&str]) -> Printer {
        let common = ["rollcallctl", "watch", "--app-id", "1", "--user-id", "bob", "--token", "t"];
        let cli = Cli::try_parse_from(common.iter().chain(extra)).unwrap();
        let Command::Watch(args) = cli.command else { panic!("expected watch") };
        Printer::new(&args)
    }

    fn status(id: &str, version: u64) -> UserStatus {
        let user_id = id.parse().unwrap();
        UserStatus { user_id, general: General::Online, custom: "x".to_owned(), version }
    }

    fn lines(printer: &Printer, statuses: &[UserStatus]) -> String {
        printer.lines(&mut printer.state.lock(), statuses).unwrap()
    }

    #[test]
    fn only_what_was_asked_for_is_shown_and_only_as_often() {
        let printer = printer(&["alice", "--count", "2", "--output", "json"]);
        let shown = lines(&printer, &[status("carol", 1), status("alice", 2)]);
        assert_eq!(shown, "{\"user_id\":\"alice\",\"general\":\"ONLINE\",\"custom\":\"x\",\"version\":2}\n");
        let failure = printer.time_is_over(Some(2)).unwrap_err();
        assert_eq!(failure.to_string(), "time ran out with 1 of 2 changes seen");
        assert_eq!(failure.exit_code(), 3);
        assert_eq!(lines(&printer, &[status("alice", 3), status("alice", 4)]).lines().count(), 1);
        printer.time_is_over(Some(2)).unwrap();
    }

    #[test]
    fn without_ids_all_is_shown_under_one_header() {
        let printer = printer(&[]);
        let shown = lines(&printer, &[status("carol", 1)]) + &lines(&printer, &[status("bob", 2)]);
        let users: Vec<_> = shown.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(users, ["USER", "carol", "bob"]);
        printer.time_is_over(None).unwrap();
    }
}
