//! Tests of apps and their cache, over the memory store.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::fixture::{Fixture, app};

const TEST: Intent<'_> = Intent { who: "test", expected: None };

struct Cached {
    apps: Apps,
    seconds: Arc<AtomicU64>,
    /// The same store through another cache, as another process has it.
    other: Apps,
}

fn cached() -> Cached {
    let store = Fixture::new().store;
    let seconds = Arc::new(AtomicU64::new(5));
    let read = Arc::clone(&seconds);
    let elapsed: Elapsed = Arc::new(move || Duration::from_secs(read.load(Ordering::SeqCst)));
    let other = Apps::new(store.clone(), elapsed.clone());
    Cached { apps: Apps::new(store, elapsed), seconds, other }
}

fn settings(status: bool) -> Settings {
    Settings { status, ..Settings::default() }
}

fn code(error: &Error) -> Code {
    error.refusal().code
}

// SPEC G1
#[tokio::test]
async fn a_change_by_another_process_is_seen_after_a_second() {
    let Cached { apps, seconds, other } = cached();
    let created = other.create(app(), "test", settings(false), Vec::new()).await.unwrap();
    assert_eq!(*apps.get(app()).await.unwrap(), created);
    let updated = other.update(app(), &TEST, |_| Ok(settings(true))).await.unwrap();
    assert_eq!(*apps.get(app()).await.unwrap(), created);
    assert_eq!(*apps.read(app()).await.unwrap(), updated);
    seconds.fetch_add(1, Ordering::SeqCst);
    assert_eq!(*apps.get(app()).await.unwrap(), updated);
    assert!(created.version < updated.version);
}

#[tokio::test]
async fn a_change_by_this_process_is_seen_at_once() {
    let Cached { apps, .. } = cached();
    apps.get(app()).await.unwrap_err();
    apps.create(app(), "test", settings(false), Vec::new()).await.unwrap();
    assert!(!apps.get(app()).await.unwrap().settings.status);
    apps.update(app(), &TEST, |_| Ok(settings(true))).await.unwrap();
    assert!(apps.get(app()).await.unwrap().settings.status);
}

#[tokio::test]
async fn an_app_that_does_not_exist_is_remembered_for_a_second() {
    let Cached { apps, seconds, other } = cached();
    assert_eq!(code(&apps.get(app()).await.unwrap_err()), Code::AppUnknown);
    other.create(app(), "test", settings(false), Vec::new()).await.unwrap();
    assert_eq!(code(&apps.get(app()).await.unwrap_err()), Code::AppUnknown);
    seconds.fetch_add(1, Ordering::SeqCst);
    apps.get(app()).await.unwrap();
}

#[tokio::test]
async fn an_app_that_exists_is_not_created_again() {
    let Cached { apps, .. } = cached();
    let created = apps.create(app(), "test", settings(false), Vec::new()).await.unwrap();
    let error = apps.create(app(), "test", settings(true), Vec::new()).await.unwrap_err();
    assert_eq!(code(&error), Code::InvalidParameter);
    assert_eq!(*apps.get(app()).await.unwrap(), created);
}

#[tokio::test]
async fn an_update_keeps_the_keys_and_an_equal_one_the_version() {
    let Cached { apps, .. } = cached();
    assert_eq!(code(&apps.update(app(), &TEST, |held| Ok(*held)).await.unwrap_err()), Code::AppUnknown);
    let keys = vec![TokenKey { kid: "1".to_owned(), material: KeyMaterial::Hs256(Bytes::from_static(b"k")) }];
    let created = apps.create(app(), "test", settings(false), keys).await.unwrap();
    assert_eq!(apps.update(app(), &TEST, |held| Ok(*held)).await.unwrap(), created);
    let updated = apps.update(app(), &TEST, |_| Ok(settings(true))).await.unwrap();
    assert_eq!(updated.keys, created.keys);
}

// SPEC G1
#[tokio::test]
async fn a_change_of_another_version_than_expected_is_refused_names_both_and_changes_nothing() {
    let Cached { apps, .. } = cached();
    let created = apps.create(app(), "test", settings(false), Vec::new()).await.unwrap();
    let upon = |version| Intent { expected: Some(version), ..TEST };

    let updated = apps.update(app(), &upon(created.version), |_| Ok(settings(true))).await.unwrap();
    let refused = apps.update(app(), &upon(created.version), |_| Ok(settings(false))).await.unwrap_err();
    let same = apps.update(app(), &upon(created.version), |held| Ok(*held)).await.unwrap_err();
    let keys = apps.remove_key(app(), &upon(created.version), "1", |_| Ok(())).await.unwrap_err();

    for error in [refused, same, keys] {
        let refusal = error.refusal();
        assert_eq!(refusal.code, Code::InvalidParameter);
        let (found, expected) = (updated.version.0, created.version.0);
        let said = format!("app 7 has version {found}, expected {expected}: it was changed in between");
        assert_eq!(refusal.message, said);
    }
    assert_eq!(*apps.read(app()).await.unwrap(), updated);
}

#[tokio::test]
async fn invented_app_ids_neither_grow_the_cache_nor_push_out_apps_that_exist() {
    let Cached { apps, other, .. } = cached();
    apps.create(app(), "test", settings(false), Vec::new()).await.unwrap();
    apps.get(app()).await.unwrap();
    for invented in 0..2 * u32::try_from(APPS_MAX).unwrap() {
        apps.get(AppId::new(1_000 + invented).unwrap()).await.unwrap_err();
    }
    assert!(apps.held.lock().len() <= APPS_MAX);
    other.update(app(), &TEST, |_| Ok(settings(true))).await.unwrap();
    assert!(!apps.get(app()).await.unwrap().settings.status, "it was still held");
}
