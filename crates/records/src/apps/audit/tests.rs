//! Tests of the audit log, over the memory store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use rollcall_domain::{app::Limits, code::Code};
use rollcall_store::{Commit, MemoryStore, Partitions, Store as _, port::Write};

use super::*;
use crate::{Intent, fixture::app};

struct Logged {
    clock: Arc<AtomicU64>,
    store: Arc<MemoryStore>,
    apps: Apps,
}

impl Logged {
    /// Begins at second 1,000 with an app that anna created.
    async fn new() -> Self {
        let clock = Arc::new(AtomicU64::new(1_000_000_000));
        let read = Arc::clone(&clock);
        let now = move || Timestamp(read.load(Ordering::SeqCst));
        let store = Arc::new(MemoryStore::new(Partitions::EMBEDDED, Arc::new(now)));
        let apps = Apps::new(store.clone(), Arc::new(|| Duration::ZERO));
        apps.create(app(), "anna", Settings::default(), vec![secret("1")]).await.unwrap();
        Self { clock, store, apps }
    }

    /// Sets a limit, a second after what was before.
    async fn set(&self, who: &str, window_calls: u32) -> RecordVersion {
        self.clock.fetch_add(1_000_000, Ordering::SeqCst);
        let set = |before: &Settings| Ok(limited(*before, window_calls));
        self.apps.update(app(), &Intent::of(who), set).await.unwrap().version
    }

    async fn read(&self, before: Option<u64>, limit: usize) -> AuditPage {
        self.apps.audit(app(), before, limit).await.unwrap()
    }
}

fn limited(settings: Settings, window_calls: u32) -> Settings {
    Settings { limits: Limits { window_calls, ..settings.limits }, ..settings }
}

fn secret(kid: &str) -> TokenKey {
    TokenKey { kid: kid.to_owned(), material: KeyMaterial::Hs256(Bytes::from_static(b"secret")) }
}

fn sequences(page: &AuditPage) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.sequence).collect()
}

// SPEC G2
#[tokio::test]
async fn each_change_is_told_with_who_asked_when_upon_which_version_and_what_was_done() {
    let logged = Logged::new().await;
    let created = logged.apps.read(app()).await.unwrap().version;
    let changed = logged.set("ben", 5).await;
    let public = TokenKey { kid: "2".to_owned(), material: KeyMaterial::Ed25519([7; 32]) };
    let added = logged.apps.add_key(app(), &Intent::of("cleo"), &public, |_| Ok(())).await.unwrap().version;
    let removed = logged.apps.remove_key(app(), &Intent::of("ben"), "1", |_| Ok(())).await.unwrap().version;

    let AuditPage { entries, next } = logged.read(None, 10).await;

    let (settings, none) = (Settings::default(), RecordVersion::default());
    let key = |kid: &str, ed25519| ShownKey { kid: kid.to_owned(), ed25519 };
    let second = |count: u64| Timestamp(count * 1_000_000);
    let entry = |sequence, at, who: &str, before, after, deed| AuditEntry {
        sequence,
        at: second(at),
        who: who.to_owned(),
        before,
        after,
        deed,
    };
    let expected = [
        entry(4, 1_001, "ben", added, removed, Deed::KeyRemoved(key("1", None))),
        entry(3, 1_001, "cleo", changed, added, Deed::KeyAdded(key("2", Some([7; 32])))),
        entry(2, 1_001, "ben", created, changed, Deed::Changed(settings, limited(settings, 5))),
        entry(1, 1_000, "anna", none, created, Deed::Created(settings, vec![key("1", None)])),
    ];
    assert_eq!(entries, expected);
    assert_eq!(next, None);
}

// SPEC G2
#[tokio::test]
async fn what_changes_nothing_or_is_refused_is_not_in_the_log() {
    let logged = Logged::new().await;
    let version = logged.set("ben", 5).await;
    assert_eq!(logged.set("ben", 5).await, version);
    let refuse = |_: &Settings| Err(unknown(app()));
    logged.apps.update(app(), &Intent::of("ben"), refuse).await.unwrap_err();
    let passed = Intent { who: "ben", expected: Some(RecordVersion(1)) };
    logged.apps.update(app(), &passed, |before| Ok(limited(*before, 6))).await.unwrap_err();
    logged.apps.remove_key(app(), &Intent::of("ben"), "9", |_| Ok(())).await.unwrap_err();

    assert_eq!(sequences(&logged.read(None, 10).await), [2, 1]);
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended_and_the_last_says_so() {
    let logged = Logged::new().await;
    for calls in 1..=6 {
        logged.set("ben", calls).await;
    }
    let first = logged.read(None, 3).await;
    assert_eq!((sequences(&first), first.next), (vec![7, 6, 5], Some(5)));
    // What comes meanwhile is not of the pages that follow.
    logged.set("ben", 7).await;
    let second = logged.read(first.next, 3).await;
    assert_eq!((sequences(&second), second.next), (vec![4, 3, 2], Some(2)));
    let third = logged.read(second.next, 3).await;
    assert_eq!((sequences(&third), third.next), (vec![1], None));
    let none = logged.read(Some(1), 3).await;
    assert_eq!((sequences(&none), none.next), (vec![], None));
    assert_eq!(sequences(&logged.read(Some(u64::MAX), 1).await), [8]);
}

#[tokio::test]
async fn a_log_that_is_full_loses_its_oldest_entries_and_none_of_the_others() {
    let logged = Logged::new().await;
    let total = u64::from(AUDIT_MAX) + 7;
    for change in 2..=total {
        logged.set("ben", 1 + u32::from(change % 2 == 0)).await;
    }
    let page = logged.read(None, usize::MAX).await;
    let expected: Vec<u64> = (8..=total).rev().collect();
    assert_eq!((sequences(&page), page.next), (expected, None));
    assert_eq!(sequences(&logged.read(Some(10), 5).await), [9, 8]);
    let length = logged.store.get(&[Key::App(app())]).await.unwrap()[0].as_ref().unwrap().value.len();
    assert!(length < 400, "the record of the app takes {length} bytes");
}

#[tokio::test]
async fn of_changes_at_once_each_has_its_entry_and_none_is_lost() {
    let logged = Logged::new().await;
    let names: Vec<String> = (0..20).map(|number| format!("key{number}")).collect();
    let keys: Vec<TokenKey> = names.iter().map(|name| secret(name)).collect();
    let intent = Intent::of("ben");
    let adds = keys.iter().map(|key| logged.apps.add_key(app(), &intent, key, |_| Ok(())));
    for added in futures_util::future::join_all(adds).await {
        added.unwrap();
    }
    let page = logged.read(None, 100).await;
    assert_eq!(sequences(&page), (1..=21).rev().collect::<Vec<_>>());
    for (entry, older) in page.entries.iter().zip(&page.entries[1..]) {
        assert_eq!(entry.before, older.after, "{entry:?}");
    }
    let mut told: Vec<&str> = page.entries[..20]
        .iter()
        .map(|entry| match &entry.deed {
            Deed::KeyAdded(key) => key.kid.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_unstable();
    let mut expected: Vec<&str> = names.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_change_that_another_one_overtakes_loses_the_entry_of_neither() {
    let logged = Logged::new().await;
    let mut overtaken = 0;
    let slow = |before: &Settings| {
        if overtaken < 3 {
            overtaken += 1;
            // The store in memory answers at once.
            let other = logged.set("quick", overtaken).now_or_never();
            other.expect("nothing is waited for");
        }
        Ok(limited(*before, 9))
    };
    logged.apps.update(app(), &Intent::of("slow"), slow).await.unwrap();

    let log = logged.read(None, 10).await.entries;
    let who: Vec<(u64, &str)> = log.iter().map(|entry| (entry.sequence, entry.who.as_str())).collect();
    assert_eq!(who, [(5, "slow"), (4, "quick"), (3, "quick"), (2, "quick"), (1, "anna")]);
    assert_eq!(log[0].deed, Deed::Changed(limited(Settings::default(), 3), limited(Settings::default(), 9)));
}

#[tokio::test]
async fn an_entry_that_comes_late_to_its_place_leaves_the_newer_one_there() {
    let logged = Logged::new().await;
    let first = logged.read(None, 1).await.entries.remove(0);
    for change in 0..=u32::from(AUDIT_MAX) {
        logged.set("ben", 1 + change % 2).await;
    }
    let newer = logged.read(Some(u64::from(AUDIT_MAX) + 2), 1).await;
    assert_eq!(place(app(), newer.entries[0].sequence), place(app(), first.sequence));

    logged.apps.keep(app(), &first).await.unwrap();

    assert_eq!(logged.read(Some(u64::from(AUDIT_MAX) + 2), 1).await, newer);
}

#[tokio::test]
async fn an_app_from_before_the_log_has_an_empty_one_which_begins_with_its_next_change() {
    let logged = Logged::new().await;
    let other = AppId::new(8).unwrap();
    let value = codec::app::encode(&Settings::default(), &[], None);
    let (not_after, timers, guards, entry) = (None, Vec::new(), Vec::new(), None);
    let (expected, write, new_status, floor) = (None, Write::Put(value), false, RecordVersion(0));
    let commit =
        Commit { key: Key::App(other), expected, write, new_status, floor, not_after, timers, guards, entry };
    logged.store.commit(commit).await.unwrap();
    assert_eq!(logged.apps.audit(other, None, 10).await.unwrap().entries, []);

    let set = |before: &Settings| Ok(limited(*before, 5));
    logged.apps.update(other, &Intent::of("ben"), set).await.unwrap();

    assert_eq!(sequences(&logged.apps.audit(other, None, 10).await.unwrap()), [1]);
    assert_eq!(sequences(&logged.read(None, 10).await), [1], "the other app's log is its own");
}

#[tokio::test]
async fn an_app_that_does_not_exist_has_no_log() {
    let logged = Logged::new().await;
    let refused = logged.apps.audit(AppId::new(9).unwrap(), None, 10).await.unwrap_err();
    assert_eq!(refused.refusal().code, Code::AppUnknown);
}
