//! Random commands, for property tests, and the users and timers that they speak of.

use bytes::Bytes;
use rollcall_domain::{
    id::{BootId, SessionId, UserId},
    status::RecordVersion,
    time::Timestamp,
};

use super::{
    Tested,
    given::{self, app},
    steps::Step,
};
use crate::{
    partition::Partition,
    port::{Commit, Key, Timer, TimerChange, TimerId, TimerKind, TimerSet, Write},
};

/// How many users commands speak of, from 0; the last one is in another partition than the others.
pub const USERS: usize = 4;

/// How many timers each user has, from 0: those of four sessions, which are of two boots, and one of each other kind.
pub const TIMERS: u64 = 6;

/// One call to a store. Deadlines are offsets for [`given::at`].
#[derive(Debug, Clone)]
pub enum Command {
    /// A commit of a user.
    Commit(Change),
    /// A touch in the partition of a user.
    Touch {
        /// Whose timers.
        user: usize,
        /// Timers and deadlines.
        timers: Vec<(u64, u64)>,
    },
    /// Entries of a user's partition are published, known or not.
    Publish {
        /// Whose partition.
        user: usize,
        /// The entries.
        sequences: Vec<u64>,
    },
    /// A step of a lease.
    Lease(Step),
}

/// What a commit is to change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose record.
    pub user: usize,
    /// The version that is said to be expected.
    pub expected: Expected,
    /// Whether the record is deleted.
    pub delete: bool,
    /// Whether the status is new.
    pub new_status: bool,
    /// How far the floor is above the version that the record has; `None` for no floor.
    pub floor: Option<u64>,
    /// Whether the commit comes in time: before its last moment (`true`), after it (`false`), or without one.
    pub in_time: Option<bool>,
    /// Whether there is an outbox entry.
    pub told: bool,
    /// Timers and their deadlines; `None` removes the timer.
    pub timers: Vec<(u64, Option<u64>)>,
    /// Timers and the latest deadlines that pass.
    pub guards: Vec<(u64, u64)>,
}

/// The expected version of a commit.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// The version that the record has, or none.
    Held,
    /// A version that it does not have.
    Other,
    /// None.
    Absent,
}

/// The users of a store that commands speak of.
pub(super) struct Cast {
    pub(super) users: Vec<UserId>,
    /// The partition of each user.
    pub(super) partitions: Vec<Partition>,
}

impl Cast {
    pub(super) fn new(store: &Tested) -> Self {
        let mut users = store.neighbours::<{ USERS - 1 }>().to_vec();
        users.push(store.stranger());
        Self { partitions: users.iter().map(|user| store.partition_of(key(*user))).collect(), users }
    }

    /// Names the records of all users.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.users.iter().copied().map(key).collect()
    }

    /// Makes the commit of the n-th command, where the user's record has the version `held`.
    pub(super) fn commit(&self, change: &Change, held: Option<RecordVersion>, n: usize) -> Commit {
        let timer = |number, offset| self.timer(change.user, number, offset);
        let timers = change.timers.iter().map(|(number, offset)| match offset {
            Some(offset) => TimerChange::Set(timer(*number, *offset)),
            None => TimerChange::Remove(timer(*number, 0).id),
        });
        Commit {
            key: key(self.users[change.user]),
            expected: match change.expected {
                Expected::Held => held,
                Expected::Other => Some(RecordVersion(held.map_or(1, |version| version.0 - 1))),
                Expected::Absent => None,
            },
            write: if change.delete { Write::Delete } else { Write::Put(Bytes::from(format!("value {n}"))) },
            new_status: change.new_status,
            floor: change
                .floor
                .map_or(RecordVersion::default(), |above| RecordVersion(held.unwrap_or_default().0 + above)),
            not_after: change.in_time.map(|in_time| if in_time { given::FAR } else { Timestamp(0) }),
            timers: timers.collect(),
            guards: change.guards.iter().map(|(number, offset)| timer(*number, *offset)).collect(),
            entry: change.told.then(|| Bytes::from(format!("entry {n}"))),
        }
    }

    /// Makes the timers of a touch.
    pub(super) fn timers(&self, user: usize, timers: &[(u64, u64)]) -> Vec<Timer> {
        timers.iter().map(|(number, offset)| self.timer(user, *number, *offset)).collect()
    }

    fn timer(&self, user: usize, number: u64, offset: u64) -> Timer {
        let session = |boot| TimerKind::Session(SessionId { boot, counter: 1 + number / 2 });
        let kind = match number {
            0 | 2 => session(BOOTS[0]),
            1 | 3 => session(BOOTS[1]),
            4 => TimerKind::Clear,
            _ => TimerKind::Idle,
        };
        Timer { deadline: given::at(offset), id: TimerId { app: app(1), user: self.users[user], kind } }
    }
}

/// The boots of all sessions.
const BOOTS: [BootId; 2] = [BootId(100), BootId(101)];

/// The sets of all timers.
pub(super) const SETS: [TimerSet; 4] =
    [TimerSet::Sessions(BOOTS[0]), TimerSet::Sessions(BOOTS[1]), TimerSet::Clear, TimerSet::Idle];

/// Names the record of a user.
pub(super) fn key(user: UserId) -> Key {
    Key::User(app(1), user)
}

#[cfg(test)]
pub(crate) mod strategy {
    //! Runs of commands, as proptest makes and shrinks them.

    use proptest::{collection::vec, option, prelude::*};

    use super::{Change, Command, Expected, TIMERS, USERS};
    use crate::contract::steps::{self, Step};

    /// Deadlines lie close together, so that ties and equal guards are common.
    const OFFSETS: u64 = 6;

    /// Makes runs of 1 to 40 commands.
    pub(crate) fn commands() -> impl Strategy<Value = Vec<Command>> {
        vec(command(), 1..=40)
    }

    fn command() -> impl Strategy<Value = Command> {
        let touched = vec((0..TIMERS, 0..OFFSETS), 0..4);
        let touch = (0..USERS, touched).prop_map(|(user, timers)| Command::Touch { user, timers });
        let publish = (0..USERS, vec(0..12_u64, 0..4))
            .prop_map(|(user, sequences)| Command::Publish { user, sequences });
        let lease = step().prop_map(Command::Lease);
        prop_oneof![5 => change().prop_map(Command::Commit), 2 => touch, 1 => publish, 3 => lease]
    }

    /// Values are few, so that steps meet.
    fn step() -> impl Strategy<Value = Step> {
        let (boot, token, nonce) = (|| 0..steps::BOOTS, || 0..2_u8, || 0..3_u8);
        prop_oneof![
            3 => (boot(), token()).prop_map(|(boot, token)| Step::Open { boot, token }),
            6 => (boot(), token(), nonce())
                .prop_map(|(boot, token, nonce)| Step::Renew { boot, token, nonce }),
            1 => (boot(), token()).prop_map(|(boot, token)| Step::Retire { boot, token }),
            2 => (boot(), nonce()).prop_map(|(boot, nonce)| Step::Kill { boot, nonce }),
            1 => boot().prop_map(|boot| Step::Forget { boot }),
        ]
    }

    fn change() -> impl Strategy<Value = Change> {
        let expected =
            prop_oneof![6 => Just(Expected::Held), 1 => Just(Expected::Other), 1 => Just(Expected::Absent)];
        let timers = vec((0..TIMERS, option::of(0..OFFSETS)), 0..4);
        let guards = vec((0..TIMERS, 0..OFFSETS), 0..2);
        let in_time = prop_oneof![4 => Just(None), 2 => Just(Some(true)), 1 => Just(Some(false))];
        let flags = (prop::bool::weighted(0.2), any::<bool>(), any::<bool>());
        let floor = prop_oneof![3 => Just(None), 1 => (0..2_000_u64).prop_map(Some)];
        (0..USERS, expected, flags, floor, in_time, timers, guards).prop_map(
            |(user, expected, (delete, new_status, told), floor, in_time, timers, guards)| Change {
                user,
                expected,
                delete,
                new_status,
                floor,
                in_time,
                told,
                timers,
                guards,
            },
        )
    }
}
