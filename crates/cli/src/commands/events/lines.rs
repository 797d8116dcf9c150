//! How changes are written.

use rollcall_proto::{
    common::v1::{EndedSession, GeneralStatus, SessionEndReason, SessionId},
    event::v1::{Change, ChangeKind, Event, Gap, GapReason, follow_response::Told},
};
use serde::Serialize;

use crate::{args::Output, escape, failure::Failure, output};

/// A change as JSON.
#[derive(Debug, Serialize)]
struct EventLine<'a> {
    position: u64,
    at: String,
    kind: &'static str,
    app_id: u32,
    user_id: &'a str,
    record_version: u64,
    #[serde(flatten)]
    state: Option<StateLine<'a>>,
}

/// What a change of a status or of sessions tells.
#[derive(Debug, Serialize)]
struct StateLine<'a> {
    general: &'static str,
    custom: &'a str,
    version: u64,
    previous_version: u64,
    sessions: Vec<String>,
    ended: Vec<EndedLine>,
}

#[derive(Debug, Serialize)]
struct EndedLine {
    session: String,
    reason: &'static str,
}

/// A gap as JSON.
#[derive(Debug, Serialize)]
struct GapLine {
    position: u64,
    gap: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<u32>,
    first: u64,
    last: u64,
}

/// Writes what was told, below a header if there is to be one.
pub(super) fn of(output: Output, position: u64, told: &Told, has_header: bool) -> Result<String, Failure> {
    match told {
        // Every change there is comes with its event.
        Told::Event(Event { change: None, .. }) => Ok(String::new()),
        Told::Event(Event { at, change: Some(change), .. }) => match output {
            Output::Json => output::json_line(&event_line(position, *at, change)),
            Output::Table => Ok(row(has_header, &event_cells(position, *at, change))),
        },
        Told::Gap(gap) => match output {
            Output::Json => output::json_line(&GapLine {
                position,
                gap: short(gap.reason().as_str_name(), "GAP_REASON_"),
                partition: gap.partition,
                first: gap.first,
                last: gap.last,
            }),
            Output::Table => {
                let [at, app, user] = [const { String::new() }; 3];
                Ok(row(has_header, &[at, position.to_string(), "GAP".to_owned(), app, user, gap_text(gap)]))
            }
        },
    }
}

fn event_line(position: u64, at: u64, change: &Change) -> EventLine<'_> {
    let state = tells_state(change).then(|| StateLine {
        general: general(change),
        custom: &change.custom,
        version: change.status_version,
        previous_version: change.previous_status_version,
        sessions: change.sessions.iter().map(session).collect(),
        ended: change.ended.iter().map(ended).collect(),
    });
    EventLine {
        position,
        at: output::date_time(at),
        kind: short(change.kind().as_str_name(), "CHANGE_KIND_"),
        app_id: change.app_id,
        user_id: &change.user_id,
        record_version: change.record_version,
        state,
    }
}

fn event_cells(position: u64, at: u64, change: &Change) -> [String; 6] {
    let what = if tells_state(change) {
        let sessions = change.sessions.len();
        let count = if sessions == 1 { "1 session".to_owned() } else { format!("{sessions} sessions") };
        format!("{}, {count}  {}", general(change), escape::text(&change.custom))
    } else {
        String::new()
    };
    [
        output::date_time(at),
        position.to_string(),
        short(change.kind().as_str_name(), "CHANGE_KIND_").to_owned(),
        change.app_id.to_string(),
        escape::text(&change.user_id),
        what,
    ]
}

/// Lays out a row: columns of fixed width, so that each can be written when it comes.
fn row(has_header: bool, cells: &[String; 6]) -> String {
    let line = |[at, position, kind, app, user, what]: [&str; 6]| {
        let line = format!("{at:<24}  {position:<10}  {kind:<8}  {app:<10}  {user:<16}  {what}");
        line.trim_end().to_owned() + "\n"
    };
    let header = has_header.then(|| line(["TIME", "POSITION", "KIND", "APP", "USER", "WHAT"]));
    header.unwrap_or_default() + &line(cells.each_ref().map(String::as_str))
}

fn gap_text(gap: &Gap) -> String {
    match (gap.reason(), gap.partition) {
        (GapReason::NotKept, _) => "older changes are kept no more".to_owned(),
        (GapReason::NotHeard, Some(partition)) => {
            format!("changes {} to {} of partition {partition} did not come", gap.first, gap.last)
        }
        (GapReason::NewCount, Some(partition)) => format!("partition {partition} counts anew"),
        _ => "changes may be missing".to_owned(),
    }
}

fn tells_state(change: &Change) -> bool {
    matches!(change.kind(), ChangeKind::Status | ChangeKind::Sessions)
}

fn general(change: &Change) -> &'static str {
    let general = GeneralStatus::try_from(change.general).unwrap_or_default();
    short(general.as_str_name(), "GENERAL_STATUS_")
}

/// Writes a session as the boot in hexadecimal digits, and the counter.
fn session(session: &SessionId) -> String {
    format!("{:x}.{}", session.boot, session.counter)
}

fn ended(ended: &EndedSession) -> EndedLine {
    let reason = SessionEndReason::try_from(ended.reason).unwrap_or_default();
    let reason = short(reason.as_str_name(), "SESSION_END_REASON_");
    EndedLine { session: ended.session.as_ref().map(session).unwrap_or_default(), reason }
}

fn short(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: ChangeKind) -> Told {
        let session = |counter| SessionId { boot: 31, counter };
        let change = Change {
            record_version: 6,
            status_version: 5,
            previous_status_version: 4,
            kind: kind.into(),
            app_id: 1,
            user_id: "alice".to_owned(),
            general: 1,
            custom: "\u{1b}[2J".to_owned(),
            sessions: vec![session(1)],
            ended: vec![EndedSession { session: Some(session(2)), reason: 3 }],
            ..Change::default()
        };
        Told::Event(Event { at: 1_800_000_000_123_456, partition: 3, change: Some(change) })
    }

    fn gap() -> Told {
        let reason = GapReason::NotHeard.into();
        Told::Gap(Gap { reason, partition: Some(3), first: 17, last: 18 })
    }

    #[test]
    fn a_change_is_one_json_object_on_one_line() {
        assert_eq!(
            of(Output::Json, 7, &told(ChangeKind::Status), true).unwrap(),
            "{\"position\":7,\"at\":\"2027-01-15T08:00:00.123Z\",\"kind\":\"STATUS\",\"app_id\":1,\
             \"user_id\":\"alice\",\"record_version\":6,\"general\":\"ONLINE\",\"custom\":\"\\u001b[2J\",\
             \"version\":5,\"previous_version\":4,\"sessions\":[\"1f.1\"],\
             \"ended\":[{\"session\":\"1f.2\",\"reason\":\"LOGOUT\"}]}\n"
        );
        let list = of(Output::Json, 7, &told(ChangeKind::List), true).unwrap();
        assert!(list.ends_with("\"user_id\":\"alice\",\"record_version\":6}\n"), "{list}");
        assert_eq!(
            of(Output::Json, 9, &gap(), true).unwrap(),
            "{\"position\":9,\"gap\":\"NOT_HEARD\",\"partition\":3,\"first\":17,\"last\":18}\n"
        );
    }

    #[test]
    fn rows_stand_under_their_header_and_steer_no_terminal() {
        let table = of(Output::Table, 7, &told(ChangeKind::Status), true).unwrap()
            + &of(Output::Table, 9, &gap(), false).unwrap();
        assert_eq!(
            table,
            "TIME                      POSITION    KIND      APP         USER              WHAT\n\
             2027-01-15T08:00:00.123Z  7           STATUS    1           alice             ONLINE, 1 session  \\u{1b}[2J\n                          \
             9           GAP                                     changes 17 to 18 of partition 3 did not come\n"
        );
    }
}
