//! What commands write to standard output: columns for people, JSON lines for scripts.

use std::{
    io::{self, Write as _},
    time::{Duration, UNIX_EPOCH},
};

use comfy_table::{Row, Table, presets::NOTHING};
use rollcall_client::{OnlineDetail, UserFailure, UserStatus};
use serde::Serialize;

use crate::{escape, failure::Failure};

/// The end of the year 9999 in microseconds since the Unix epoch: what can be written as a date.
const LATEST: u64 = 253_402_300_799_999_999;

/// A status as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct StatusLine<'a> {
    user_id: &'a str,
    general: &'static str,
    custom: &'a str,
    version: u64,
    #[serde(flatten)]
    detail: Option<DetailLine>,
}

/// What more a user is told of themselves, as JSON.
#[derive(Debug, Serialize)]
struct DetailLine {
    platforms: Vec<&'static str>,
    /// Seconds since the Unix epoch; left out while ONLINE.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_online_at: Option<f64>,
}

impl<'a> StatusLine<'a> {
    /// Makes it of a user's own status.
    pub(crate) fn own(status: &'a UserStatus, detail: Option<&OnlineDetail>) -> Self {
        let line = |detail: &OnlineDetail| DetailLine {
            platforms: detail.platforms.iter().map(|platform| platform.name()).collect(),
            last_online_at: detail.last_online_at.map(|at| at.as_secs_f64()),
        };
        Self { detail: detail.map(line), ..Self::from(status) }
    }
}

impl<'a> From<&'a UserStatus> for StatusLine<'a> {
    fn from(status: &'a UserStatus) -> Self {
        Self {
            user_id: status.user_id.as_str(),
            general: status.general.name(),
            custom: &status.custom,
            version: status.version,
            detail: None,
        }
    }
}

/// An id that could not be served, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct FailureLine<'a> {
    user_id: &'a str,
    code: i32,
    description: &'a str,
}

impl<'a> From<&'a UserFailure> for FailureLine<'a> {
    fn from(failure: &'a UserFailure) -> Self {
        let error = &failure.error;
        Self { user_id: &failure.user_id, code: error.code.number(), description: &error.description }
    }
}

/// Writes text and flushes it.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// Lays out rows under a header, with a line end. What others wrote must be escaped already.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.force_no_tty().load_style(NOTHING);
    if !header.is_empty() {
        table.set_header(header.iter().copied());
    }
    table.add_rows(rows.into_iter().map(Row::from));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// Tells in words what more a user is told of themselves; nothing of who never was ONLINE.
pub(crate) fn detail_note(detail: &OnlineDetail) -> Option<String> {
    if let Some(at) = detail.last_online_at {
        return Some(format!("left ONLINE at {} s since 1970", at.as_secs()));
    }
    let platforms: Vec<&str> = detail.platforms.iter().map(|platform| platform.name()).collect();
    (!platforms.is_empty()).then(|| format!("ONLINE on {}", platforms.join(", ")))
}

/// Lays out statuses as a table.
pub(crate) fn status_table(statuses: &[UserStatus]) -> String {
    let row = |status: &UserStatus| {
        vec![
            status.user_id.to_string(),
            status.general.to_string(),
            status.version.to_string(),
            escape::text(&status.custom),
        ]
    };
    table(&["USER", "GENERAL", "VERSION", "CUSTOM"], statuses.iter().map(row))
}

/// Writes a value as one line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string(value).map_err(|error| Failure::Output(error.into()))?;
    Ok(escape::json(&json) + "\n")
}

/// Lays out the live table of `watch`: columns of fixed width, so that each row can be written when it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveTable {
    user_width: usize,
}

impl LiveTable {
    /// Makes room for these ids.
    pub(crate) fn new<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        // A user id has at most 32 bytes; a malformed one never gets here.
        let widest = ids.into_iter().map(str::len).max().unwrap_or(16);
        Self { user_width: widest.clamp("USER".len(), 32) }
    }

    /// Returns the line of column names.
    pub(crate) fn header(self) -> String {
        let width = self.user_width;
        format!("{:<9}  {:<width$}  {:<9}  {:<16}  CUSTOM\n", "TIME", "USER", "GENERAL", "VERSION")
    }

    /// Returns the line of one change, heard at this time since the Unix epoch.
    pub(crate) fn row(self, status: &UserStatus, now: Duration) -> String {
        let row = format!(
            "{}  {:<width$}  {:<9}  {:<16}  {}",
            time_of_day(now),
            status.user_id.as_str(),
            status.general,
            status.version,
            escape::text(&status.custom),
            width = self.user_width,
        );
        row.trim_end().to_owned() + "\n"
    }
}

/// Writes a time given in microseconds since the Unix epoch, as in `2026-01-02T03:04:05.678Z`; a number if it is none
/// that a clock shows.
pub(crate) fn date_time(micros: u64) -> String {
    if micros > LATEST {
        return micros.to_string();
    }
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_micros(micros)).to_string()
}

/// Writes the time of day in UTC, as in `12:34:56Z`.
fn time_of_day(now: Duration) -> String {
    let seconds = now.as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use rollcall_client::{Code, Error, General, Platform};

    use super::*;

    fn status(custom: &str) -> UserStatus {
        UserStatus {
            user_id: "alice".parse().unwrap(),
            general: General::Online,
            custom: custom.to_owned(),
            version: 7,
        }
    }

    #[test]
    fn a_status_is_one_json_object_on_one_line() {
        assert_eq!(
            json_line(&StatusLine::from(&status("통화\n중"))).unwrap(),
            "{\"user_id\":\"alice\",\"general\":\"ONLINE\",\"custom\":\"통화\\n중\",\"version\":7}\n"
        );
    }

    // SPEC A9
    #[test]
    fn the_own_status_tells_the_platforms_or_when_the_user_left() {
        let here = OnlineDetail { platforms: vec![Platform::Iphone, Platform::Web], last_online_at: None };
        let line = json_line(&StatusLine::own(&status("lunch"), Some(&here))).unwrap();
        assert!(line.ends_with(",\"version\":7,\"platforms\":[\"IPHONE\",\"WEB\"]}\n"), "{line}");
        assert_eq!(detail_note(&here).unwrap(), "ONLINE on IPHONE, WEB");

        let left = OnlineDetail { platforms: vec![], last_online_at: Some(Duration::from_millis(1_500)) };
        let line = json_line(&StatusLine::own(&status(""), Some(&left))).unwrap();
        assert!(line.ends_with(",\"platforms\":[],\"last_online_at\":1.5}\n"), "{line}");
        assert_eq!(detail_note(&left).unwrap(), "left ONLINE at 1 s since 1970");
        assert_eq!(detail_note(&OnlineDetail { last_online_at: None, ..left }), None);
    }

    #[test]
    fn an_id_that_failed_is_told_by_its_code() {
        let error = Error::new(Code::BadUserId, "user id is empty");
        let failure = UserFailure { user_id: String::new(), error };
        assert_eq!(
            json_line(&FailureLine::from(&failure)).unwrap(),
            "{\"user_id\":\"\",\"code\":7003,\"description\":\"user id is empty\"}\n"
        );
    }

    #[test]
    fn a_table_has_aligned_columns_and_no_blanks_at_the_end() {
        let other = UserStatus { user_id: "b".parse().unwrap(), version: 12345, ..status("") };
        assert_eq!(
            status_table(&[status("lunch"), other]),
            "USER   GENERAL  VERSION  CUSTOM\n\
             alice  ONLINE   7        lunch\n\
             b      ONLINE   12345\n"
        );
    }

    #[test]
    fn what_others_wrote_stays_in_its_row() {
        let table = status_table(&[status("\u{1b}[2J\nroot  ONLINE")]);
        assert_eq!(table.lines().count(), 2);
        assert!(table.ends_with("\\u{1b}[2J\\nroot  ONLINE\n"));
        let row = LiveTable::new([]).row(&status("\u{202e}\r"), Duration::ZERO);
        assert!(row.ends_with("\\u{202e}\\r\n"), "{row}");
    }

    #[test]
    fn a_time_that_no_clock_shows_is_a_number() {
        assert_eq!(date_time(LATEST), "9999-12-31T23:59:59.999Z");
        assert_eq!(date_time(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn live_rows_stand_under_their_header() {
        let live = LiveTable::new(["alice", "b"]);
        let row = live.row(&status("lunch"), Duration::from_secs(86_400 + 3661));
        assert_eq!(live.header(), "TIME       USER   GENERAL    VERSION           CUSTOM\n");
        assert_eq!(row, "01:01:01Z  alice  ONLINE     7                 lunch\n");
    }
}
