//! What claims are made of: keys, timers and commits.

use bytes::Bytes;
use rollcall_domain::{
    id::{AppId, BootId, SessionId, UserId},
    status::RecordVersion,
    time::Timestamp,
};

use crate::port::{Commit, Key, Timer, TimerChange, TimerId, TimerSet, Write};

/// The boot of most timers.
pub const BOOT: BootId = BootId(0xb007);

/// The set of most timers.
pub const SESSIONS: TimerSet = TimerSet::Sessions(BOOT);

/// The sets of all timers that are made here.
pub const SETS: [TimerSet; 3] = [SESSIONS, TimerSet::Clear, TimerSet::Idle];

/// A time beyond the deadline of every timer.
pub const FAR: Timestamp = Timestamp(4_102_444_800_000_000);

const START: u64 = 1_767_225_600_000_000;

/// Returns the time of an offset in µs, for deadlines of a realistic size.
pub fn at(offset: u64) -> Timestamp {
    Timestamp(START + offset)
}

/// Returns the offset of a time made by [`at`].
pub fn offset(time: Timestamp) -> u64 {
    time.0 - START
}

/// Names an app; not by 0.
pub fn app(id: u32) -> AppId {
    AppId::new(id).expect("the app id is not 0")
}

/// Names a user.
pub fn user(name: &str) -> UserId {
    name.parse().expect("the user id is valid")
}

/// Names the record of a user of app 1.
pub fn key(name: &str) -> Key {
    Key::User(app(1), user(name))
}

/// Makes a commit that puts a value and nothing else.
pub fn put(key: Key, expected: Option<RecordVersion>, value: impl Into<String>) -> Commit {
    Commit {
        key,
        expected,
        write: Write::Put(Bytes::from(value.into())),
        new_status: false,
        floor: RecordVersion::default(),
        not_after: None,
        timers: vec![],
        guards: vec![],
        entry: None,
    }
}

/// Makes a commit that puts a value and tells it.
pub fn tell(key: Key, expected: Option<RecordVersion>, value: &'static str) -> Commit {
    Commit { entry: Some(Bytes::from(value)), ..put(key, expected, value) }
}

/// Makes a commit that deletes a record and nothing else.
pub fn delete(key: Key, expected: Option<RecordVersion>) -> Commit {
    Commit { write: Write::Delete, ..put(key, expected, "") }
}

/// Makes a timer of a user of app 1, of [`BOOT`] and a login counter, with an offset for [`at`].
pub fn timer(user: UserId, counter: u64, offset: u64) -> Timer {
    let session = SessionId { boot: BOOT, counter };
    Timer { deadline: at(offset), id: TimerId::of_session(app(1), user, session) }
}

/// Makes a commit that creates a user of app 1 with timers.
pub fn arm(user: UserId, timers: &[Timer]) -> Commit {
    let timers = timers.iter().copied().map(TimerChange::Set).collect();
    Commit { timers, ..put(Key::User(app(1), user), None, "armed") }
}
