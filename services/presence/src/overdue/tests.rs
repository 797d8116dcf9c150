//! The rule against gateways that answer, that do not, and whose replies are lost.

use proptest::prelude::*;
use rollcall_domain::id::{AppId, SessionId, UserId};
use rollcall_store::port::Standing;

use super::*;

const P: Partition = Partition(1);
const BOOT: BootId = BootId(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

fn id(counter: u64) -> TimerId {
    let (app, user) = (AppId::new(1).unwrap(), UserId::new("a").unwrap());
    TimerId::of_session(app, user, SessionId { boot: BOOT, counter })
}

fn timer(counter: u64, deadline: u64) -> Timer {
    Timer { deadline: at(deadline), id: id(counter) }
}

/// Reports, each with another nonce, and one session whose deadline passed at 100 s and stands still.
struct Report {
    overdue: Overdue,
    nonce: u64,
}

impl Report {
    fn new() -> Self {
        let overdue = Overdue::new(ANSWER_WITHIN);
        overdue.note(P, BOOT, at(100));
        Self { overdue, nonce: 0 }
    }

    fn at(&mut self, now: u64) -> Judged {
        self.nonce += 1;
        self.again_at(now)
    }

    /// The same report once more.
    fn again_at(&mut self, now: u64) -> Judged {
        assert_eq!(self.overdue.reported(BOOT, Nonce(self.nonce)), [P]);
        self.overdue.judge(BOOT, P, &[timer(1, 100)], at(now))
    }
}

fn asked(new: usize) -> Judged {
    Judged { ask: vec![id(1)], new, end: Vec::new() }
}

#[test]
fn a_session_is_asked_about_a_moment_after_its_deadline() {
    let mut report = Report::new();
    assert_eq!(report.at(100), Judged::default());
    assert_eq!(report.at(101), asked(1));
    assert_eq!(report.at(103), asked(0));
}

// SPEC A7
#[test]
fn a_session_ends_10_s_after_its_deadline_and_after_three_replies_in_vain_and_never_before() {
    let ends = Judged { end: vec![timer(1, 100)], ..Judged::default() };
    let mut often = Report::new();
    for now in 101..110 {
        assert_eq!(often.at(now).ask, [id(1)]);
    }
    assert_eq!(often.at(110), ends);

    let mut late = Report::new();
    for new in [1, 0, 0] {
        assert_eq!(late.at(300), asked(new));
        assert_eq!(late.again_at(300), asked(0), "a report twice is a report once");
    }
    assert_eq!(late.at(300), ends);
    assert_eq!(late.at(300), asked(1), "what could not be ended is asked about anew");
}

#[test]
fn a_deadline_that_has_moved_begins_anew() {
    let mut report = Report::new();
    for _ in 0..3 {
        report.at(300);
    }
    report.overdue.reported(BOOT, Nonce(9));
    let moved = report.overdue.judge(BOOT, P, &[timer(1, 200)], at(300));
    assert_eq!(moved, asked(1));
}

#[test]
fn a_partition_is_left_once_nothing_in_it_is_due_unless_something_was_seen_since() {
    let report = Report::new();
    let overdue = report.overdue;
    overdue.note(P, BOOT, at(120));
    overdue.judge(BOOT, P, &[], at(119));
    assert_eq!(overdue.reported(BOOT, Nonce(1)), [P], "seen since");
    overdue.judge(BOOT, P, &[], at(120));
    assert_eq!(overdue.reported(BOOT, Nonce(2)), []);
}

#[test]
fn who_is_dead_is_not_asked_and_partitions_take_turns() {
    let overdue = Overdue::new(ANSWER_WITHIN);
    let all = [1, 2, 3].map(Partition);
    for partition in all {
        overdue.note(partition, BOOT, at(1));
    }
    let firsts: BTreeSet<_> = (1..=3).map(|nonce| overdue.reported(BOOT, Nonce(nonce))[0]).collect();
    assert_eq!(firsts, BTreeSet::from(all));
    let lease = Lease { boot: BOOT, nonce: Nonce(1), standing: Standing::Live };
    overdue.keep(&[lease]);
    assert_eq!(overdue.reported(BOOT, Nonce(4)).len(), 3);
    overdue.keep(&[Lease { standing: Standing::Dead(at(1)), ..lease }]);
    assert_eq!(overdue.reported(BOOT, Nonce(5)), []);
}

#[test]
fn what_is_known_of_a_partition_is_bounded() {
    let overdue = Overdue::new(ANSWER_WITHIN);
    overdue.note(P, BOOT, at(1));
    overdue.reported(BOOT, Nonce(1));
    let due: Vec<_> = (0..200).map(|counter| timer(counter, 1)).collect();
    assert_eq!(overdue.judge(BOOT, P, &due, at(100)).ask.len(), SESSIONS_MAX);
    assert_eq!(overdue.open(), SESSIONS_MAX);
}

/// One report of a gateway: when, to which of two instances, and whether its reply is lost.
fn reports() -> impl Strategy<Value = Vec<(u64, usize, bool)>> {
    prop::collection::vec((1u64..8, 0usize..2, any::<bool>()), 1..80)
}

proptest! {
    // SPEC A8
    #[test]
    fn no_session_ends_while_its_gateway_answers_although_replies_are_lost_two_in_a_row(reports in reports()) {
        let instances = [(); 2].map(|()| Overdue::new(ANSWER_WITHIN));
        let (mut now, mut deadline, mut questions, mut lost) = (1_000, 100, Vec::new(), 0);
        for (nonce, (pause, to, is_lost)) in (1..).zip(reports) {
            now += pause;
            // Answers come first: the client was heard just now. Soon the store forgets it.
            if !std::mem::take(&mut questions).is_empty() {
                deadline = now - 20;
            }
            for instance in &instances {
                instance.note(P, BOOT, at(now));
            }
            instances[to].reported(BOOT, Nonce(nonce));
            let judged = instances[to].judge(BOOT, P, &[timer(1, deadline)], at(now));
            prop_assert_eq!(judged.end, []);
            lost = if is_lost && lost < 2 { lost + 1 } else { 0 };
            if lost == 0 {
                questions = judged.ask;
            }
        }
    }

    // SPEC A7
    #[test]
    fn a_session_of_which_a_reporting_gateway_says_nothing_ends_in_bounds(
        reports in reports(), deadline in 900u64..1_000
    ) {
        let instances = [(); 2].map(|()| Overdue::new(ANSWER_WITHIN));
        let (mut now, mut late) = (1_000, [0; 2]);
        for (nonce, (pause, to, _)) in (1..).zip(reports) {
            now += pause;
            instances[to].note(P, BOOT, at(now));
            instances[to].reported(BOOT, Nonce(nonce));
            let judged = instances[to].judge(BOOT, P, &[timer(1, deadline)], at(now));
            late[to] += u64::from(now >= deadline + 10);
            if !judged.end.is_empty() {
                prop_assert!(now >= deadline + 10);
                return Ok(());
            }
            // Three replies ask, and the report after them ends.
            prop_assert!(late[to] < 4, "{late:?}");
        }
    }
}
