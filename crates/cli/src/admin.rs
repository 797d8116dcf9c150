//! The admin service, as operators' commands use it, and how an app is shown.

use rollcall_proto::{
    admin::v1::admin_service_client::AdminServiceClient,
    common::v1::{AppSettings, Edition as WireEdition, Limits, LoginPolicy as WirePolicy},
};
use serde::Serialize;
use tonic::transport::Channel;

use crate::{
    args::{AdminOptions, Edition, LimitOptions, LoginPolicy, Output},
    failure::Failure,
    output,
};

/// Connects to the admin service.
pub(crate) async fn connect(options: &AdminOptions) -> Result<AdminServiceClient<Channel>, Failure> {
    Ok(AdminServiceClient::new(options.server().connect().await?))
}

/// Writes the limits that are named; 0 stands for the others.
pub(crate) fn limits(options: LimitOptions) -> Limits {
    Limits {
        query_ids: options.query_ids.unwrap_or(0),
        subscribe_ids: options.subscribe_ids.unwrap_or(0),
        subscriptions: options.subscriptions.unwrap_or(0),
        window_calls: options.window_calls.unwrap_or(0),
        friends: options.friends.unwrap_or(0),
    }
}

/// Writes an edition; unknown stands for "not named".
pub(crate) fn edition(edition: Option<Edition>) -> i32 {
    let edition = match edition {
        None => WireEdition::Unknown,
        Some(Edition::Standard) => WireEdition::Standard,
        Some(Edition::Premium) => WireEdition::Premium,
    };
    edition as i32
}

/// Writes a login policy; unknown stands for "not named".
pub(crate) fn login_policy(policy: Option<LoginPolicy>) -> i32 {
    let policy = match policy {
        None => WirePolicy::Unknown,
        Some(LoginPolicy::Single) => WirePolicy::Single,
        Some(LoginPolicy::Dual) => WirePolicy::Dual,
        Some(LoginPolicy::Triple) => WirePolicy::Triple,
        Some(LoginPolicy::Multi) => WirePolicy::Multi,
    };
    policy as i32
}

#[derive(Debug, Serialize)]
struct AppLine<'a> {
    app_id: u32,
    edition: &'static str,
    status: bool,
    friend_status: bool,
    login_policy: &'static str,
    limits: LimitLine,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_key: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct LimitLine {
    query_ids: u32,
    subscribe_ids: u32,
    subscriptions: u32,
    window_calls: u32,
    friends: u32,
}

/// Shows an app, and the token key of a new one.
pub(crate) fn show(output: Output, app: Option<AppSettings>, token_key: Option<&str>) -> Result<(), Failure> {
    output::write(&text(output, &app.unwrap_or_default(), token_key)?)
}

fn text(output: Output, app: &AppSettings, token_key: Option<&str>) -> Result<String, Failure> {
    let edition = match app.edition() {
        WireEdition::Premium => "PREMIUM",
        WireEdition::Standard => "STANDARD",
        WireEdition::Unknown => "UNKNOWN",
    };
    let login_policy = match app.login_policy() {
        WirePolicy::Single => "SINGLE",
        WirePolicy::Dual => "DUAL",
        WirePolicy::Triple => "TRIPLE",
        WirePolicy::Multi => "MULTI",
        WirePolicy::Unknown => "UNKNOWN",
    };
    let limits = app.limits.unwrap_or_default();
    let Limits { query_ids, subscribe_ids, subscriptions, window_calls, friends } = limits;
    if output == Output::Json {
        let limits = LimitLine { query_ids, subscribe_ids, subscriptions, window_calls, friends };
        let AppSettings { app_id, status, friend_status, version, .. } = *app;
        return output::json_line(&AppLine {
            app_id,
            edition,
            status,
            friend_status,
            login_policy,
            limits,
            version,
            token_key,
        });
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
    let mut rows = vec![
        row("app id", app.app_id.to_string()),
        row("edition", edition.to_owned()),
        row("status", switch(app.status)),
        row("friend status", switch(app.friend_status)),
        row("login policy", login_policy.to_owned()),
        row("limit query ids", query_ids.to_string()),
        row("limit subscribe ids", subscribe_ids.to_string()),
        row("limit subscriptions", subscriptions.to_string()),
        row("limit window calls", window_calls.to_string()),
        row("limit friends", friends.to_string()),
        row("version", app.version.to_string()),
    ];
    if let Some(key) = token_key {
        rows.push(row("token key", key.to_owned()));
    }
    Ok(output::table(&[], rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> AppSettings {
        let limits = Limits {
            query_ids: 500,
            subscribe_ids: 100,
            subscriptions: 200,
            window_calls: 20,
            friends: 3_000,
        };
        AppSettings {
            app_id: 1,
            edition: WireEdition::Premium as i32,
            status: true,
            friend_status: false,
            limits: Some(limits),
            version: 3,
            login_policy: WirePolicy::Dual as i32,
        }
    }

    #[test]
    fn an_app_is_one_json_object_and_only_a_new_one_shows_its_key() {
        let known = text(Output::Json, &app(), None).unwrap();
        assert_eq!(
            known,
            "{\"app_id\":1,\"edition\":\"PREMIUM\",\"status\":true,\"friend_status\":false,\"login_policy\":\"DUAL\",\"limits\":{\"query_ids\":500,\
             \"subscribe_ids\":100,\"subscriptions\":200,\"window_calls\":20,\"friends\":3000},\"version\":3}\n"
        );
        let new = text(Output::Json, &app(), Some("ab")).unwrap();
        assert!(new.ends_with(",\"version\":3,\"token_key\":\"ab\"}\n"));
    }

    #[test]
    fn an_app_is_a_table_of_names_and_values() {
        let table = text(Output::Table, &app(), Some("ab")).unwrap();
        assert!(table.starts_with("app id               1\nedition              PREMIUM\n"), "{table}");
        assert!(table.ends_with("token key            ab\n"), "{table}");
    }

    #[test]
    fn what_is_not_named_is_left_to_the_server() {
        let options = LimitOptions { subscribe_ids: Some(5), ..LimitOptions::default() };
        assert_eq!(limits(options), Limits { subscribe_ids: 5, ..Limits::default() });
        assert_eq!([None, Some(Edition::Standard), Some(Edition::Premium)].map(edition), [0, 1, 2]);
        let policies = [LoginPolicy::Single, LoginPolicy::Dual, LoginPolicy::Triple, LoginPolicy::Multi];
        assert_eq!((login_policy(None), policies.map(Some).map(login_policy)), (0, [1, 2, 3, 4]));
    }
}
