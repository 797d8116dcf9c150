//! Tests of the records: round trips of any state, and bytes that nobody wrote.

use bytes::Bytes;
use proptest::{collection, option, prelude::*, sample};
use rollcall_domain::{
    app::{Edition, Limits, Settings},
    id::{BootId, DeviceId, Op, Platform, SessionId, UserId},
    policy::LoginPolicy,
    status::{CustomStatus, RecordVersion},
    time::Timestamp,
    user::{CustomFrom, EndReason, Session, UserState},
};

use super::*;
use crate::apps::{AuditEntry, Deed, KeyMaterial, ShownKey, TokenKey};

const VERSION: RecordVersion = RecordVersion(99);

fn session_ids() -> impl Strategy<Value = SessionId> {
    (any::<u64>(), any::<u64>()).prop_map(|(boot, counter)| SessionId { boot: BootId(boot), counter })
}

fn platforms() -> impl Strategy<Value = Platform> {
    sample::select(&Platform::ALL[..])
}

fn sessions() -> impl Strategy<Value = Session> {
    let order = option::of((1..=u64::MAX).prop_map(RecordVersion));
    let op = any::<u64>().prop_map(Op);
    (platforms(), "[!-~]{1,64}", order.clone(), order, op, any::<bool>()).prop_map(
        |(platform, device, order, continues, last_op, moved)| {
            let device = DeviceId::new(&device).unwrap();
            Session { platform, device, order, continues, last_op, moved }
        },
    )
}

fn reasons() -> impl Strategy<Value = EndReason> {
    sample::select(vec![
        EndReason::Closed,
        EndReason::Timeout,
        EndReason::Logout,
        EndReason::Kicked,
        EndReason::Replaced,
    ])
}

fn states() -> impl Strategy<Value = UserState> {
    (
        collection::btree_map(session_ids(), sessions(), 0..=32),
        collection::btree_map(platforms(), any::<u64>().prop_map(Timestamp), 0..=7),
        "[^\0]{0,25}",
        option::of(any::<u64>().prop_map(Timestamp)),
        collection::vec((session_ids(), reasons()), 0..=32),
        option::of(any::<u64>().prop_map(Timestamp)),
        option::of(any::<u64>().prop_map(Timestamp)),
        prop_oneof![
            Just(CustomFrom::Never),
            Just(CustomFrom::ThisCommit),
            (1..=u64::MAX).prop_map(|version| CustomFrom::Version(RecordVersion(version))),
        ],
    )
        .prop_map(
            |(sessions, marks, custom, last_online_at, ended, revoked_until, clear_at, custom_from)| {
                let custom = CustomStatus::new(&custom).unwrap();
                UserState {
                    sessions,
                    marks,
                    custom,
                    clear_at,
                    custom_from,
                    last_online_at,
                    ended,
                    revoked_until,
                }
            },
        )
}

proptest! {
    #[test]
    fn any_state_survives_its_record_and_unknown_orders_become_its_version(state in states()) {
        let mut expected = state.clone();
        for session in expected.sessions.values_mut() {
            session.order.get_or_insert(VERSION);
        }
        if expected.custom_from == CustomFrom::ThisCommit {
            expected.custom_from = CustomFrom::Version(VERSION);
        }
        prop_assert_eq!(user::decode(user::encode(&state), VERSION).unwrap(), expected);
    }

    #[test]
    fn bytes_that_nobody_wrote_never_panic(bytes in collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = user::decode(bytes.clone(), VERSION);
        let _ = list::decode(bytes.clone());
        let _ = app::decode(bytes.clone());
        let _ = audit::decode(bytes);
    }

    #[test]
    fn a_record_with_one_byte_changed_never_panics(
        state in states(),
        place in any::<sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = user::encode(&state).to_vec();
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = user::decode(bytes.into(), VERSION);
        }
    }

    #[test]
    fn any_list_survives_its_record(ids in collection::vec("[ -~]{1,32}", 0..=200)) {
        let ids: Vec<UserId> = ids.iter().map(|id| UserId::new(id).unwrap()).collect();
        prop_assert_eq!(list::decode(list::encode(&ids)).unwrap(), ids);
    }
}

#[test]
fn a_record_from_before_it_was_told_since_when_a_custom_status_is_what_it_is_is_as_of_itself() {
    let custom_from = CustomFrom::Version(VERSION);
    let expected = UserState { custom_from, ..UserState::default() };
    assert_eq!(user::decode(Bytes::new(), VERSION).unwrap(), expected);
    assert_eq!(user::encode(&UserState::default())[..], *b"\x40\0");
}

#[test]
fn a_session_of_a_record_without_commands_has_applied_none() {
    // Boot 1, counter 2, platform 7, device "d", order 3; and that nothing has decided what the custom status is.
    let stored = b"\x0a\x12\x09\x01\0\0\0\0\0\0\0\x10\x02\x18\x07\x22\x01d\x28\x03\x40\0";
    let state = user::decode(Bytes::from_static(stored), VERSION).unwrap();
    let id = SessionId { boot: BootId(1), counter: 2 };
    let (device, order) = (DeviceId::new("d").unwrap(), Some(RecordVersion(3)));
    let session = Session { order, ..Session::new(Platform::Web, device, None) };
    assert_eq!(state.sessions, [(id, session)].into());
    assert_eq!(user::encode(&state), Bytes::from_static(stored));
}

#[test]
fn values_that_no_release_wrote_are_errors_that_name_the_field() {
    // Field 1 is a session; within it field 3 is the platform and field 4 the device.
    let cases: [(&[u8], &str); 4] = [
        (&[0x0a, 0x05, 0x18, 0x63, 0x22, 0x01, b'd'], "platform"),
        (&[0x0a, 0x02, 0x18, 0x01], "device"),
        (&[0x1a, 0x01, 0x00], "custom status"),
        (&[0x2a, 0x02, 0x18, 0x09], "reason of an ended session"),
    ];
    for (bytes, expected) in cases {
        let error = user::decode(Bytes::copy_from_slice(bytes), VERSION).unwrap_err();
        assert!(matches!(error, Error::Field { field, .. } if field == expected), "{error}");
    }
    assert!(matches!(user::decode(Bytes::from_static(b"\x0a\x50"), VERSION), Err(Error::Message(_))));
    assert!(matches!(list::decode(Bytes::from_static(b"\x0a\x01\n")), Err(Error::Field { .. })));
    assert!(matches!(app::decode(Bytes::new()), Err(Error::Field { field: "limits", .. })));
}

// SPEC H4
#[test]
fn the_record_of_an_app_from_before_login_policies_and_friends_has_the_defaults() {
    let settings = Settings { login_policy: LoginPolicy::Multi, ..Settings::default() };
    let value = app::encode(&settings, &[], None);
    let (before, fields) = value.split_last_chunk::<5>().unwrap();
    assert_eq!(fields, &[8 << 3, 4, 9 << 3, 0xb8, 0x17], "the policy and 3,000 friends are the last fields");
    let read = app::decode(Bytes::copy_from_slice(before)).unwrap();
    assert_eq!(read.settings, Settings::default());
    let unknown = [before, &[8 << 3, 5]].concat();
    assert!(matches!(app::decode(unknown.into()), Err(Error::Field { field: "login policy", .. })));
}

#[test]
fn an_app_survives_its_record_and_its_key_is_never_shown() {
    let limits = Limits { query_ids: 3, subscribe_ids: 2, subscriptions: 1, window_calls: 4, friends: 5 };
    let login_policy = LoginPolicy::Triple;
    let settings =
        Settings { edition: Edition::Premium, status: true, friend_status: true, limits, login_policy };
    let secret = KeyMaterial::Hs256(Bytes::from_static(b"secret"));
    let keys = vec![TokenKey { kid: "1".to_owned(), material: secret }];
    for last in [None, Some(Bytes::from_static(b"entry"))] {
        let expected = app::Read { settings, keys: keys.clone(), last: last.clone() };
        assert_eq!(app::decode(app::encode(&settings, &keys, last)).unwrap(), expected);
    }
    assert_eq!(format!("{keys:?}"), "[TokenKey { kid: \"1\", .. }]");
}

#[test]
fn a_user_with_one_session_takes_less_than_90_bytes_and_a_list_2_bytes_an_id_beside_the_id() {
    let id = SessionId { boot: BootId(u64::MAX), counter: 100_000 };
    let order = Some(RecordVersion(1_800_000_000_000_000));
    let device = DeviceId::new("01234567-89ab-cdef-0123-456789abcdef").unwrap();
    let mut state = UserState::default();
    let idle = Session { order, ..Session::new(Platform::Web, device, None) };
    state.sessions.insert(id, idle);
    state.last_online_at = Some(Timestamp(1_800_000_000_000_000));
    let length = user::encode(&state).len();
    assert!(length < 90, "{length}");
    state.sessions.get_mut(&id).unwrap().last_op = Op(1_000);
    assert_eq!(user::encode(&state).len(), length + 3, "a command has a price, its absence none");

    let ids: Vec<_> = (0..200).map(|n| UserId::new(&format!("user{n:06}")).unwrap()).collect();
    assert_eq!(list::encode(&ids).len(), 200 * 12);
}

// SPEC G2
#[test]
fn an_entry_of_an_audit_log_survives_its_record_which_is_short() {
    let settings = Settings { edition: Edition::Premium, status: true, ..Settings::default() };
    let secret = ShownKey { kid: "k".repeat(32), ed25519: None };
    let public = ShownKey { ed25519: Some([7; 32]), ..secret.clone() };
    for deed in [
        Deed::Created(settings, vec![secret.clone(), public.clone()]),
        Deed::Created(settings, Vec::new()),
        Deed::Changed(Settings::default(), settings),
        Deed::KeyAdded(public),
        Deed::KeyRemoved(secret),
    ] {
        let (at, version) = (Timestamp(1_800_000_000_000_000), RecordVersion(1_800_000_000_000_000));
        let who = "w".repeat(64);
        let entry = AuditEntry { sequence: 1_000_000, at, who, before: version, after: version, deed };
        let value = audit::encode(&entry);
        assert!(value.len() < 300, "{entry:?} takes {} bytes", value.len());
        assert_eq!(audit::decode(value).unwrap(), entry);
    }
    assert!(matches!(audit::decode(Bytes::new()), Err(Error::Field { field: "audit entry", .. })));
}
