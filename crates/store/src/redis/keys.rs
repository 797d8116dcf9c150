//! The names of keys and of timers in Redis.
//!
//! Every key begins with the hash tag of its partition, so that all that one commit touches is in one slot of a
//! Redis Cluster, and one pattern grants the whole store. A user id may hold any printable byte: it stands last,
//! behind its length.
//!
//! | key | type | what it holds |
//! |---|---|---|
//! | `{p0012}u:1:5:alice` | string | record of a user: record and status version, 8 bytes each, and the value |
//! | `{p0012}s:1:5:alice` | string | record of a subscription list, in the same form |
//! | `{p0012}f:1:5:alice` | string | record of a user's friends, in the same form |
//! | `{p0012}a:1` | string | record of an app, in the same form |
//! | `{p0012}audit:1:17` | string | record of an entry of the app's audit log, by its place in their ring, in the same form |
//! | `{p0012}q:1:5:alice` | string | times in µs of a user's last queries, 8 bytes each; `w` and `x` those of subscribes and unsubscribes |
//! | `{p0012}timers:b007` | sorted set | timers of one boot's sessions; the score is the deadline in µs |
//! | `{p0012}clear` | sorted set | timers of custom statuses; the score is the deadline in µs |
//! | `{p0012}idle` | sorted set | timers of subscription lists, likewise |
//! | `{p0012}floor` | string | greatest version that a deleted record of the partition had |
//! | `{p0012}sequence` | string | sequence of the last outbox entry |
//! | `{p0012}outbox` | stream | unpublished entries; the id is `<sequence>-0` |
//! | `{p0000}partitions` | string | the number of partitions, which never changes |
//! | `{p0000}leases` | hash | leases of boots; the field is the boot (`b007`), the value as below |
//!
//! A lease has 48 bytes, its numbers little-endian:
//!
//! | bytes | what they hold |
//! |---|---|
//! | 0 to 31 | hash of the token |
//! | 32 to 39 | nonce of the last report, 0 before the first |
//! | 40 to 46 | when its life ended, in µs since the Unix epoch; 0 while it is live |
//! | 47 | how it ended: 0 dead, 1 retired |

use std::fmt;

use rollcall_domain::{
    id::{AppId, BootId, SessionId, UserId},
    time::Timestamp,
};

use crate::{
    partition::Partition,
    port::{Key, Lease, Nonce, Standing, Timer, TimerId, TimerKind, TimerSet, TokenHash, Window, WindowKind},
};

/// Holds the number of partitions.
pub(super) const PARTITIONS: &str = "{p0000}partitions";

/// Holds the leases of all boots. In one partition, so that one step and one read suffice.
pub(super) const LEASES: &str = "{p0000}leases";

/// The latest deadline that is told from others: scores are doubles, exact up to 2⁵³ µs, the year 2255. A later
/// deadline is kept as this one.
const LATEST: u64 = 1 << 53;

/// Names a record.
pub(super) fn record(partition: Partition, key: &Key) -> String {
    match key {
        Key::User(app, user) => tagged(partition, format_args!("u:{app}:{}", Prefixed(user))),
        Key::Subscriptions(app, user) => tagged(partition, format_args!("s:{app}:{}", Prefixed(user))),
        Key::Friends(app, user) => tagged(partition, format_args!("f:{app}:{}", Prefixed(user))),
        Key::App(app) => tagged(partition, format_args!("a:{app}")),
        Key::Audit(app, place) => tagged(partition, format_args!("audit:{app}:{place}")),
    }
}

/// Names a window.
pub(super) fn window(partition: Partition, window: &Window) -> String {
    let kind = match window.kind {
        WindowKind::Query => 'q',
        WindowKind::Subscribe => 'w',
        WindowKind::Unsubscribe => 'x',
    };
    tagged(partition, format_args!("{kind}:{}:{}", window.app, Prefixed(&window.user)))
}

/// Names a set of timers.
pub(super) fn timers(partition: Partition, set: TimerSet) -> String {
    match set {
        TimerSet::Sessions(boot) => tagged(partition, format_args!("timers:{:x}", boot.0)),
        TimerSet::Clear => tagged(partition, format_args!("clear")),
        TimerSet::Idle => tagged(partition, format_args!("idle")),
    }
}

/// Names the greatest version of the deleted records.
pub(super) fn floor(partition: Partition) -> String {
    tagged(partition, format_args!("floor"))
}

/// Names the sequence of the last outbox entry.
pub(super) fn sequence(partition: Partition) -> String {
    tagged(partition, format_args!("sequence"))
}

/// Names the outbox.
pub(super) fn outbox(partition: Partition) -> String {
    tagged(partition, format_args!("outbox"))
}

/// Names a timer among those of its set: app, the counter of a session if it is one's, user.
pub(super) fn member(id: &TimerId) -> String {
    match id.kind {
        TimerKind::Session(session) => format!("{}:{}:{}", id.app, session.counter, Prefixed(&id.user)),
        TimerKind::Clear | TimerKind::Idle => format!("{}:{}", id.app, Prefixed(&id.user)),
    }
}

/// Returns the score of a deadline.
pub(super) fn score(deadline: Timestamp) -> u64 {
    deadline.0.min(LATEST)
}

/// Reads a timer of a set; `None` if it is not one of ours.
pub(super) fn timer(set: TimerSet, member: &str, score: f64) -> Option<Timer> {
    let (app, rest) = member.split_once(':')?;
    let (kind, rest) = match set {
        TimerSet::Sessions(boot) => {
            let (counter, rest) = rest.split_once(':')?;
            (TimerKind::Session(SessionId { boot, counter: counter.parse().ok()? }), rest)
        }
        TimerSet::Clear => (TimerKind::Clear, rest),
        TimerSet::Idle => (TimerKind::Idle, rest),
    };
    let (length, user) = rest.split_once(':')?;
    let user = UserId::new(user).ok().filter(|user| length.parse() == Ok(user.as_str().len()))?;
    let app = AppId::new(app.parse().ok()?).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number up to 2⁵³")]
    let deadline = Timestamp(score as u64);
    Some(Timer { deadline, id: TimerId { app, user, kind } })
}

/// Names the lease of a boot among the others.
pub(super) fn lease(boot: BootId) -> String {
    format!("{:x}", boot.0)
}

/// Reads a lease, without its token; `None` if it is not one of ours.
pub(super) fn read_lease(name: &[u8], value: &[u8]) -> Option<Lease> {
    let named = BootId(u64::from_str_radix(str::from_utf8(name).ok()?, 16).ok()?);
    let boot = Some(named).filter(|named| lease(*named).as_bytes() == name)?;
    let (_, numbers) = value.split_first_chunk::<{ TokenHash::LENGTH }>()?;
    let (nonce, rest) = numbers.split_first_chunk::<8>()?;
    let end = u64::from_le_bytes(rest.try_into().ok()?);
    let standing = match (Timestamp(end & ((1 << 56) - 1)), end >> 56) {
        (Timestamp(0), _) => Standing::Live,
        (since, 0) => Standing::Dead(since),
        (since, _) => Standing::Retired(since),
    };
    Some(Lease { boot, nonce: Nonce(u64::from_le_bytes(*nonce)), standing })
}

fn tagged(partition: Partition, rest: fmt::Arguments<'_>) -> String {
    format!("{{p{:04}}}{rest}", partition.0)
}

/// A user id behind its length.
struct Prefixed<'a>(&'a UserId);

impl fmt::Display for Prefixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.as_str().len(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: u32) -> AppId {
        AppId::new(id).unwrap()
    }

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    #[test]
    fn keys_are_those_of_the_table_in_every_release() {
        let partition = Partition(12);
        assert_eq!(record(partition, &Key::User(app(1), user("alice"))), "{p0012}u:1:5:alice");
        assert_eq!(record(partition, &Key::Subscriptions(app(1), user("alice"))), "{p0012}s:1:5:alice");
        assert_eq!(record(partition, &Key::Friends(app(1), user("alice"))), "{p0012}f:1:5:alice");
        assert_eq!(record(partition, &Key::App(app(1))), "{p0012}a:1");
        assert_eq!(timers(partition, TimerSet::Sessions(BootId(0xb007))), "{p0012}timers:b007");
        assert_eq!(timers(partition, TimerSet::Clear), "{p0012}clear");
        assert_eq!(timers(partition, TimerSet::Idle), "{p0012}idle");
        assert_eq!(record(partition, &Key::Audit(app(1), 17)), "{p0012}audit:1:17");
        assert_eq!(floor(partition), "{p0012}floor");
        assert_eq!(sequence(partition), "{p0012}sequence");
        assert_eq!(outbox(partition), "{p0012}outbox");
        assert_eq!(outbox(Partition(u16::MAX)), "{p65535}outbox");
    }

    #[test]
    fn the_hash_tag_is_that_of_the_partition_whatever_the_user_is_called() {
        for id in ["}", "{x}", "{}", "a}b{c"] {
            let name = record(Partition(7), &Key::User(app(1), user(id)));
            assert_eq!(name.split_once('}').unwrap().0, "{p0007");
        }
    }

    #[test]
    fn a_timer_is_read_as_it_was_named() {
        for id in ["a", "1:2:3:x", ":", "1:1:a", " ", &"~".repeat(32)] {
            let session = SessionId { boot: BootId(u64::MAX), counter: u64::MAX };
            for kind in [TimerKind::Session(session), TimerKind::Clear, TimerKind::Idle] {
                let id = TimerId { app: app(u32::MAX), user: user(id), kind };
                let deadline = Timestamp(1_767_225_600_123_456);
                let read = timer(id.set(), &member(&id), 1_767_225_600_123_456.0);
                assert_eq!(read, Some(Timer { deadline, id }));
            }
        }
    }

    #[test]
    fn what_is_no_timer_of_ours_is_not_read() {
        for member in ["", "1", "1:1", "1:1:1", "0:1:1:a", "1:x:1:a", "1:1:2:a", "1:1:0:", "1:1:1:\u{e9}"] {
            assert_eq!(timer(TimerSet::Sessions(BootId(1)), member, 1.0), None, "{member:?}");
        }
        for member in ["", "1", "1:1", "0:1:a", "1:2:a", "1:0:", "1:x:a", "1:1:1:a"] {
            assert_eq!(timer(TimerSet::Clear, member, 1.0), None, "{member:?}");
        }
    }

    #[test]
    fn a_lease_is_read_as_the_table_says() {
        let value = [[7; 32].as_slice(), &5_u64.to_le_bytes(), &0_u64.to_le_bytes()].concat();
        let live = Lease { boot: BootId(0xb007), nonce: Nonce(5), standing: Standing::Live };
        assert_eq!(lease(live.boot), "b007");
        assert_eq!(read_lease(b"b007", &value), Some(live));

        let value = [[7; 32].as_slice(), &u64::MAX.to_le_bytes(), &9_u64.to_le_bytes()].concat();
        let standing = Standing::Dead(Timestamp(9));
        let dead = Lease { boot: BootId(u64::MAX), nonce: Nonce(u64::MAX), standing };
        assert_eq!(read_lease(lease(dead.boot).as_bytes(), &value), Some(dead));

        let since = Timestamp((1 << 56) - 1);
        let value = [[7; 32].as_slice(), &[5; 8], &(since.0 | 1 << 56).to_le_bytes()].concat();
        let standing = Standing::Retired(since);
        assert_eq!(read_lease(b"b007", &value).map(|lease| lease.standing), Some(standing));
    }

    #[test]
    fn what_is_no_lease_of_ours_is_not_read() {
        for name in ["", "+1", "01", "B007", "x", "10000000000000000", "\u{e9}"] {
            assert_eq!(read_lease(name.as_bytes(), &[0; 48]), None, "{name:?}");
        }
        for length in [0, 31, 40, 47, 49] {
            assert_eq!(read_lease(b"1", &vec![0; length]), None, "{length}");
        }
    }

    #[test]
    fn scores_are_exact_until_the_year_2255() {
        assert_eq!(score(Timestamp(LATEST - 1)), LATEST - 1);
        assert_eq!(score(Timestamp(u64::MAX)), LATEST);
    }
}
