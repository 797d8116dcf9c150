//! `app audit`: who changed what of an app, and when.

use rollcall_proto::admin::v1::{
    AppCreated, AuditEntry, ListAuditEntriesRequest, ListAuditEntriesResponse, SettingsChanged, TokenKey,
    audit_entry::Deed,
};
use serde::Serialize;

use crate::{
    admin::{self, AppLine},
    args::{AdminOptions, Output},
    escape,
    failure::Failure,
    output,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl app audit --app-id 1
  rollcallctl app audit --app-id 1 --limit 1000 --output json | jq 'select(.who == \"anna\")'

The server keeps the last 1,000 changes of each app. Secrets are not among them.";

/// The greatest number of entries in one answer.
const PAGE_MAX: u32 = 100;
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Number of the app
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    app_id: u32,
    /// Greatest number of changes to show, 1 to 1000
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    admin: AdminOptions,
}

/// An entry as JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    sequence: u64,
    at: String,
    who: &'a str,
    version_before: u64,
    version_after: u64,
    deed: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<AppLine<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<AppLine<'static>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<KeyLine<'a>>,
}

#[derive(Debug, Serialize)]
struct KeyLine<'a> {
    kid: &'a str,
    algorithm: &'a str,
}

impl<'a> From<&'a TokenKey> for KeyLine<'a> {
    fn from(key: &'a TokenKey) -> Self {
        Self { kid: &key.kid, algorithm: &key.algorithm }
    }
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let entries = read(&args).await?;
    output::write(&text(args.admin.call.output, &entries)?)
}

/// Reads page after page.
async fn read(args: &Args) -> Result<Vec<AuditEntry>, Failure> {
    let mut service = admin::connect(&args.admin).await?;
    let mut all = Vec::new();
    let mut page_token = String::new();
    let mut left = args.limit;
    while left > 0 {
        let page_size = left.min(PAGE_MAX);
        let message = ListAuditEntriesRequest { app_id: args.app_id, page_size, page_token };
        let listed = service.list_audit_entries(args.admin.server().request(message)?).await;
        let ListAuditEntriesResponse { entries, next_page_token } =
            args.admin.server().outcome("app audit", listed)?;
        all.extend(entries);
        if next_page_token.is_empty() {
            break;
        }
        page_token = next_page_token;
        left -= page_size;
    }
    Ok(all)
}

fn text(output: Output, entries: &[AuditEntry]) -> Result<String, Failure> {
    if output == Output::Json {
        return entries.iter().map(|entry| output::json_line(&line(entry))).collect();
    }
    let row = |entry: &AuditEntry| {
        let (sequence, version) = (entry.sequence.to_string(), entry.version_after.to_string());
        vec![
            sequence,
            output::date_time(entry.at),
            escape::text(&entry.who),
            version,
            escape::text(&told(entry)),
        ]
    };
    Ok(output::table(&["CHANGE", "TIME", "WHO", "VERSION", "WHAT"], entries.iter().map(row)))
}

fn line(entry: &AuditEntry) -> Line<'_> {
    let app = |app: &Option<_>| app.as_ref().map(|app| admin::line(app, None));
    let (deed, before, after, keys) = match &entry.deed {
        Some(Deed::Created(AppCreated { app: new, keys })) => {
            ("created", None, app(new), keys.iter().map(KeyLine::from).collect())
        }
        Some(Deed::Changed(SettingsChanged { before, after })) => {
            ("changed", app(before), app(after), Vec::new())
        }
        Some(Deed::KeyAdded(added)) => ("key_added", None, None, vec![added.into()]),
        Some(Deed::KeyRemoved(removed)) => ("key_removed", None, None, vec![removed.into()]),
        None => ("unknown", None, None, Vec::new()),
    };
    let AuditEntry { sequence, ref who, version_before, version_after, .. } = *entry;
    Line {
        sequence,
        at: output::date_time(entry.at),
        who,
        version_before,
        version_after,
        deed,
        before,
        after,
        keys,
    }
}

/// Says what was done, as people read it.
fn told(entry: &AuditEntry) -> String {
    let key = |key: &TokenKey| format!("key {} ({})", key.kid, key.algorithm);
    match &entry.deed {
        Some(Deed::Created(AppCreated { app, keys })) => {
            let settings = admin::settings(&app.unwrap_or_default());
            let settings = settings.into_iter().map(|(name, value)| format!("{name} {value}"));
            let all: Vec<String> = settings.chain(keys.iter().map(key)).collect();
            format!("created: {}", all.join(", "))
        }
        Some(Deed::Changed(SettingsChanged { before, after })) => {
            let [before, after] = [before, after].map(|app| admin::settings(&app.unwrap_or_default()));
            let pairs = before.into_iter().zip(after).filter(|(old, new)| old != new);
            let told: Vec<String> =
                pairs.map(|((name, old), (_, new))| format!("{name} {old} -> {new}")).collect();
            told.join(", ")
        }
        Some(Deed::KeyAdded(added)) => format!("added {}", key(added)),
        Some(Deed::KeyRemoved(removed)) => format!("removed {}", key(removed)),
        None => "something that this rollcallctl does not know".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rollcall_proto::common::v1::{AppSettings, Limits};

    use super::*;

    fn entry(deed: Deed) -> AuditEntry {
        AuditEntry {
            sequence: 2,
            at: 1_800_000_000_123_456,
            who: "anna\u{1b}".to_owned(),
            version_before: 5,
            version_after: 6,
            deed: Some(deed),
        }
    }

    fn changed() -> AuditEntry {
        let limits = |friends| Some(Limits { friends, ..Limits::default() });
        let before = AppSettings { edition: 1, limits: limits(5), ..AppSettings::default() };
        let after = AppSettings { edition: 2, status: true, limits: limits(6), ..before };
        entry(Deed::Changed(SettingsChanged { before: Some(before), after: Some(after) }))
    }

    #[test]
    fn a_change_is_told_by_what_differs_and_steers_no_terminal() {
        let key = TokenKey { kid: "k\n".to_owned(), algorithm: "EdDSA".to_owned(), ..TokenKey::default() };
        let entries = [changed(), entry(Deed::KeyAdded(key))];
        assert_eq!(
            text(Output::Table, &entries).unwrap(),
            "CHANGE  TIME                      WHO         VERSION  WHAT\n\
             2       2027-01-15T08:00:00.123Z  anna\\u{1b}  6        edition STANDARD -> PREMIUM, status off -> on, limit friends 5 -> 6\n\
             2       2027-01-15T08:00:00.123Z  anna\\u{1b}  6        added key k\\n (EdDSA)\n"
        );
    }

    #[test]
    fn each_change_is_one_json_object_with_the_settings_before_and_after() {
        let line = text(Output::Json, &[changed()]).unwrap();
        assert_eq!(line.lines().count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["deed"], &read["who"]), (&"changed".into(), &"anna\u{1b}".into()));
        assert_eq!(read["before"]["limits"]["friends"], 5);
        assert_eq!((&read["after"]["edition"], &read["after"]["version"]), (&"PREMIUM".into(), &0.into()));
        assert!(read.get("keys").is_none());
    }
}
