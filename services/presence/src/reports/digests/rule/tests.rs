//! A gateway, its lists, and a store that loses timers and brings others back, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rollcall_domain::id::{AppId, BootId, SessionId, UserId};

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    BeginLogin,
    StoreLogin(usize),
    FinishLogin(usize),
    /// The login fails, or its reply is lost: if it was stored, it ends; if not, it never will be.
    FailLogin(usize),
    Close(usize),
    Move(usize),
    BeginLogout(usize),
    StoreLogout(usize),
    FinishLogout(usize),
    /// An end is stored, and its report answered.
    Settle(usize),
    /// The store loses a timer behind everybody's back.
    Lose(usize),
    /// It has one again of a session that is over.
    Haunt(usize),
    MakeList,
    /// A list comes, whether it came before or not.
    Take(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::BeginLogin),
        3 => (0..9_usize).prop_map(Step::StoreLogin),
        3 => (0..9_usize).prop_map(Step::FinishLogin),
        1 => (0..9_usize).prop_map(Step::FailLogin),
        1 => (0..9_usize).prop_map(Step::Close),
        1 => (0..9_usize).prop_map(Step::Move),
        1 => (0..9_usize).prop_map(Step::BeginLogout),
        1 => (0..9_usize).prop_map(Step::StoreLogout),
        1 => (0..9_usize).prop_map(Step::FinishLogout),
        2 => (0..9_usize).prop_map(Step::Settle),
        1 => (0..9_usize).prop_map(Step::Lose),
        1 => (0..9_usize).prop_map(Step::Haunt),
        3 => Just(Step::MakeList),
        4 => (0..9_usize).prop_map(Step::Take),
    ];
    proptest::collection::vec(step, 0..120)
}

/// A gateway with one boot and one partition, and what is stored of its sessions, by their counters.
#[derive(Debug, Default)]
struct World {
    last: u64,
    /// Logins under way, and whether they are stored.
    logins: BTreeMap<u64, bool>,
    /// Open connections, and whether they are logging out.
    open: BTreeMap<u64, bool>,
    /// Ends that may not be stored yet, and whether the session moved.
    ending: BTreeMap<u64, bool>,
    over: BTreeSet<u64>,
    /// Timers, and whether the session moved.
    stored: BTreeMap<u64, bool>,
    lists: Vec<Listed>,
}

fn id(counter: u64) -> TimerId {
    let (app, user) = (AppId::new(1).unwrap(), UserId::new("u").unwrap());
    TimerId::of_session(app, user, SessionId { boot: BootId(1), counter })
}

fn counter(id: &TimerId) -> u64 {
    id.session().unwrap().counter
}

fn nth<T: Copy>(all: &BTreeMap<u64, T>, place: usize) -> Option<(u64, T)> {
    all.iter().nth(place % all.len().max(1)).map(|(counter, value)| (*counter, *value))
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::BeginLogin => {
                self.last += 1;
                self.logins.insert(self.last, false);
            }
            Step::StoreLogin(place) => {
                if let Some((login, false)) = nth(&self.logins, place) {
                    self.logins.insert(login, true);
                    self.stored.insert(login, false);
                }
            }
            Step::FinishLogin(place) => {
                if let Some((login, true)) = nth(&self.logins, place) {
                    self.logins.remove(&login);
                    self.open.insert(login, false);
                }
            }
            Step::FailLogin(place) => {
                if let Some((login, _)) = nth(&self.logins, place) {
                    self.logins.remove(&login);
                    self.ending.insert(login, false);
                }
            }
            Step::Close(place) => self.end(place, false),
            Step::Move(place) => self.end(place, true),
            Step::BeginLogout(place) => {
                if let Some((session, _)) = nth(&self.open, place) {
                    self.open.insert(session, true);
                }
            }
            Step::StoreLogout(place) => {
                if let Some((session, true)) = nth(&self.open, place) {
                    self.stored.remove(&session);
                }
            }
            Step::FinishLogout(place) => {
                if let Some((session, true)) = nth(&self.open, place)
                    && !self.stored.contains_key(&session)
                {
                    self.open.remove(&session);
                    self.over.insert(session);
                }
            }
            Step::Settle(place) => self.settle(place),
            Step::Lose(place) => {
                if let Some((session, _)) = nth(&self.stored, place) {
                    self.stored.remove(&session);
                }
            }
            Step::Haunt(place) => {
                let ghost = self.over.iter().nth(place % self.over.len().max(1));
                if let Some(ghost) = ghost {
                    self.stored.entry(*ghost).or_insert(false);
                }
            }
            Step::MakeList => self.make_list(),
            Step::Take(place) => self.take(place),
        }
    }

    fn end(&mut self, place: usize, moved: bool) {
        if let Some((session, _)) = nth(&self.open, place) {
            self.open.remove(&session);
            self.ending.insert(session, moved);
        }
    }

    fn settle(&mut self, place: usize) {
        let Some((session, moved)) = nth(&self.ending, place) else { return };
        self.ending.remove(&session);
        self.over.insert(session);
        match self.stored.get_mut(&session) {
            Some(has_moved) if moved => *has_moved = true,
            _ => drop(self.stored.remove(&session)),
        }
    }

    fn make_list(&mut self) {
        let under_way = self.logins.keys().next().copied();
        let leaving = self.open.iter().filter(|(_, leaving)| **leaving).map(|(session, _)| *session);
        self.lists.push(Listed {
            upto: under_way.unwrap_or(self.last + 1) - 1,
            open: self
                .open
                .iter()
                .filter(|(_, leaving)| !**leaving)
                .map(|(session, _)| id(*session))
                .collect(),
            ending: self.ending.keys().copied().chain(leaving).collect(),
        });
    }

    /// Takes a list that was made at some time, and does what presence and the gateway then do.
    fn take(&mut self, place: usize) {
        let Some(list) = self.lists.get(place % self.lists.len().max(1)) else { return };
        let timers = self.stored.keys().map(|session| id(*session)).collect();
        let Judged { missing, absent } = list.judge(&timers);
        for absent in absent.iter().map(counter) {
            assert!(!self.logins.contains_key(&absent), "{absent} is logging in");
            assert!(!self.open.contains_key(&absent), "{absent} is open");
            assert!(!self.ending.contains_key(&absent), "how {absent} ended is not stored yet");
        }
        if missing.is_empty() {
            for absent in absent.iter().map(counter) {
                if self.stored.get(&absent) == Some(&false) {
                    self.stored.remove(&absent);
                }
            }
        }
        for missing in missing.iter().map(counter) {
            if self.open.contains_key(&missing) {
                self.stored.entry(missing).or_insert(false);
            }
        }
    }
}

proptest! {
    // SPEC A2, SPEC A5
    #[test]
    fn a_list_ends_only_what_is_over_for_good_however_late_and_often_it_comes_and_the_last_settles_all(
        steps in steps(),
    ) {
        let mut world = World::default();
        for step in steps {
            world.step(step);
        }
        for _ in 0..world.logins.len() {
            world.step(Step::FailLogin(0));
        }
        for _ in 0..world.ending.len() {
            world.step(Step::Settle(0));
        }
        world.open.values_mut().for_each(|leaving| *leaving = false);
        for _ in 0..2 {
            world.make_list();
            world.take(world.lists.len() - 1);
        }
        let live: Vec<_> = world.stored.iter().filter(|(_, moved)| !**moved).map(|(session, _)| session).collect();
        prop_assert_eq!(live, world.open.keys().collect::<Vec<_>>());
    }
}

#[test]
fn what_a_list_lacks_is_absent_up_to_its_greatest_counter_unless_it_is_about_to_end() {
    let list = Listed { upto: 4, open: [id(1), id(5), id(6)].into(), ending: [3].into() };
    let judged = list.judge(&[id(1), id(2), id(3), id(4), id(5), id(7)].into());
    assert_eq!(judged, Judged { missing: vec![id(6)], absent: vec![id(2), id(4)] });
}
