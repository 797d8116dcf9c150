//! SPEC G3: nothing of one app is visible in another, whatever its users are called.

use rollcall_conformance::{GRACE, borrowed, online, says, unlogined};
use rollcall_harness::{App, Raw, Rollcall, Setup, UserStatus, within};
use rollcall_proto::{
    common::v1::Limits,
    presence::v1::{GetUserStatusRequest, KickUserRequest, user_service_client::UserServiceClient},
    refusal,
    role::Role,
    subscription::v1::{ListSubscriptionsRequest, SubscribeRequest},
};
use tonic::Status;

/// Ids that mean something to a store, a bus or a terminal, and are names of users here (ATTACK X10).
const NAMES: [&str; 19] = [
    "a.b",
    "*",
    ">",
    "a.>",
    "$SYS.>",
    "rollcall.status.1",
    " ",
    "a b",
    "{}",
    "{p0001}",
    "}{p0001}u:1:1:a",
    "1:1:a",
    "a:b/c",
    "..",
    "%00%0d%0a",
    "\\r\\n\\0",
    "';FLUSHALL--",
    "EVAL",
    "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~",
];

/// Ids that no user has: control characters, more than ASCII, too little and too much.
fn malformed() -> Vec<(&'static str, String)> {
    vec![
        ("empty", String::new()),
        ("NUL", "\0".to_owned()),
        ("NUL inside", "a\0b".to_owned()),
        ("CRLF", "\r\n".to_owned()),
        ("a command after CRLF", "a\r\nFLUSHALL\r\n".to_owned()),
        ("tab", "\t".to_owned()),
        ("escape", "\u{1b}[2J".to_owned()),
        ("delete", "\u{7f}".to_owned()),
        ("Latin", "é".to_owned()),
        ("Hangul", "통화".to_owned()),
        ("zero width", "a\u{200b}".to_owned()),
        ("written backwards", "\u{202e}a".to_owned()),
        ("33 bytes", "x".repeat(33)),
        ("1 KB", "x".repeat(1_024)),
    ]
}

/// Prints what was tried, a row for each id.
fn show(rows: &[(String, String)]) {
    println!("{:<36} tried", "id");
    for (id, tried) in rows {
        println!("{id:<36} {tried}");
    }
}

/// An app with a watcher of everyone, who remembers what was heard.
struct Side {
    app: App,
    name: &'static str,
    watcher: Raw,
    heard: Vec<UserStatus>,
}

impl Side {
    /// Begins an app in which one call of each kind is allowed in a window.
    async fn begin(rollcall: &Rollcall, name: &'static str) -> Self {
        let limits = Limits { window_calls: 1, ..Limits::default() };
        let app = rollcall.app_with(Setup { limits, ..Setup::default() }).await;
        let mut watcher = app.session("watcher", "d").await;
        watcher.subscribe(&NAMES).await.ok();
        Self { app, name, watcher, heard: Vec::new() }
    }

    fn says(&self, id: &str) -> String {
        format!("{} {id}", self.name)
    }

    /// Listens until a status of a user satisfies `until`.
    async fn hears(&mut self, id: &str, until: impl Fn(&UserStatus) -> bool) {
        within(&format!("{} to hear of {id:?}", self.name), async {
            loop {
                let status = self.watcher.next_status().await;
                let is_it = status.user_id.as_str() == id && until(&status);
                self.heard.push(status);
                if is_it {
                    return;
                }
            }
        })
        .await;
    }

    /// Listens for a while, and checks that all that was ever heard is of this app.
    async fn heard_its_own(&mut self) {
        let more = self.watcher.pushed_during(GRACE).await;
        self.heard.extend(more);
        for status in &self.heard {
            let own = self.says(status.user_id.as_str());
            assert!(status.custom.is_empty() || status.custom == own, "{} heard {status:?}", self.name);
        }
    }
}

// SPEC G3, ATTACK X10
#[tokio::test]
async fn of_two_apps_whose_users_have_the_same_names_neither_reads_writes_watches_limits_or_kicks_in_the_other()
 {
    let rollcall = Rollcall::start().await;
    let (mut here, mut there) = (Side::begin(&rollcall, "here").await, Side::begin(&rollcall, "there").await);
    let mut rows = Vec::new();
    for id in NAMES {
        // Written in both: each reads and hears its own.
        let mut mine = here.app.session(id, "d").await;
        let mut other = there.app.session(id, "d").await;
        let set = mine.set(&here.says(id)).await.ok().status();
        assert!(!says(&here.says(id))(&other.status_of(id).await));
        other.set(&there.says(id)).await.ok();
        assert_eq!(mine.status_of(id).await, set);
        assert!(says(&there.says(id))(&other.status_of(id).await));
        here.hears(id, says(&here.says(id))).await;
        there.hears(id, says(&there.says(id))).await;

        // Subscribed to in one: not on the list of the other.
        mine.subscribe(&["watcher", "somebody"]).await.ok();
        assert_eq!(other.subscriptions().await, [""; 0], "{id:?}");

        // Exhausted in one: not counted in the other.
        while mine.query(&["watcher"]).await.code != 7008 {}
        other.query(&["watcher"]).await.ok();

        // Kicked in one, with the tokens: not in the other.
        let kicked = there.app.kick(id).await;
        assert_eq!(kicked.sessions, 1, "{id:?}");
        assert_eq!(other.closed().await, Some(3504));
        there.hears(id, unlogined).await;
        assert!(online(&mine.status_of(id).await) && says(&here.says(id))(&mine.status_of(id).await));
        mine.refresh_token(&here.app.token(id)).await.ok();

        // A token of one app opens nothing in the other.
        let mut thief = rollcall.connect().await;
        let stolen = here.app.token(id);
        thief.login_with(there.app.id, id, &stolen, "PLATFORM_LINUX", "d").await.refused(70003);
        mine.logout().await.ok();
        here.hears(id, unlogined).await;
        let tried = "login, set, query, watch, subscribe, window, kick, refresh, foreign token: apart";
        rows.push((format!("{id:?}"), tried.to_owned()));
    }
    here.heard_its_own().await;
    there.heard_its_own().await;
    assert_eq!(here.watcher.subscriptions().await, NAMES);
    assert_eq!(there.watcher.subscriptions().await, NAMES);
    show(&rows);
}

// SPEC G3, ATTACK X10
#[tokio::test]
async fn an_id_that_no_user_can_have_is_refused_by_each_call_and_changes_nothing_in_any_app() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    let mut alice = app.session("alice", "d").await;
    let mut namesake = other.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    alice.expect_next("bob").await;
    let app_id = app.id;
    let number = |status: Status| refusal::from_status(&status).code.number();
    let mut users = UserServiceClient::new(rollcall.addresses().channel(Role::Presence, Role::Backend));
    let mut rows = Vec::new();
    for (name, id) in malformed() {
        let mut codes: Vec<(&str, i32)> = Vec::new();
        let both = alice.query(&["bob", &id]).await.ok();
        let failed = both.failures().first().map(|(_, code)| *code);
        assert_eq!(failed, Some(7003), "{name}");
        let user_id = || id.clone();
        let mut raw = rollcall.connect().await;
        // A frame before login may have 4 KiB, so the longest of these is read.
        let login = raw.login_with(app_id, &id, &app.token(&id), "PLATFORM_LINUX", "d").await;
        codes.push(("login", login.code));
        codes.push(("subscribe", alice.subscribe(&["carol", &id]).await.code));
        codes.push(("unsubscribe", alice.unsubscribe(&["bob", &id]).await.code));
        let kick = KickUserRequest { app_id, user_id: user_id() };
        codes.push(("kick", users.kick_user(kick).await.map_or_else(number, |_| 0)));
        let subscribe =
            SubscribeRequest { app_id, user_id: user_id(), target_ids: vec!["bob".to_owned()], not_after: 0 };
        let subscribed = rollcall.subscription().subscribe(subscribe).await;
        codes.push(("subscribe of a backend", subscribed.map_or_else(number, |_| 0)));
        let list = ListSubscriptionsRequest { app_id, user_id: user_id(), online: false };
        let listed = rollcall.subscription().list_subscriptions(list).await;
        codes.push(("list of a backend", listed.map_or_else(number, |_| 0)));
        if !id.is_empty() {
            // Without a caller it is a query of the backend's own, and counts against nobody.
            let query = GetUserStatusRequest {
                app_id,
                user_ids: vec!["bob".to_owned()],
                caller_id: user_id(),
                with_details: false,
            };
            let queried = rollcall.presence().get_user_status(query).await;
            codes.push(("query of a backend", queried.map_or_else(number, |_| 0)));
        }
        assert!(codes.iter().all(|(_, code)| *code == 7003), "{name}: {codes:?}");
        let tried: Vec<String> = codes.iter().map(|(call, code)| format!("{call} {code}")).collect();
        rows.push((name.to_owned(), tried.join(", ")));
    }
    assert_eq!(alice.subscriptions().await, ["bob"]);
    assert_eq!(namesake.subscriptions().await, [""; 0]);
    assert_eq!(alice.pushed_during(GRACE).await, []);
    assert_eq!(namesake.take_unread(), []);
    let all: Vec<String> = malformed().into_iter().map(|(_, id)| id).collect();
    alice.query(&borrowed(&all)).await.refused(6003);
    namesake.set("unharmed").await.ok();
    show(&rows);
}
