//! The index against a model without any places: sets of sessions and of edges by kind.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn key(n: u8) -> UserKey {
    (AppId::new(1).unwrap(), UserId::new(&format!("u{n}")).unwrap())
}

#[derive(Debug, Clone)]
enum Step {
    Login(u8),
    Logout(u8),
    Watch(u8, u8, Kinds),
    Unwatch(u8, u8, Kinds),
}

fn step() -> impl Strategy<Value = Step> {
    let user = 0u8..8;
    let pair = || (0u8..8, 0u8..8, prop_oneof![Just(Kinds::SUBSCRIPTION), Just(Kinds::FRIEND)]);
    prop_oneof![
        2 => user.clone().prop_map(Step::Login),
        1 => user.prop_map(Step::Logout),
        4 => pair().prop_map(|(a, b, kind)| Step::Watch(a, b, kind)),
        2 => pair().prop_map(|(a, b, kind)| Step::Unwatch(a, b, kind)),
    ]
}

/// What the index should hold: sessions of each user, and edges with their kinds.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<u8, u32>,
    edges: BTreeMap<(u8, u8), Kinds>,
}

impl Model {
    fn alive(&self) -> BTreeSet<UserKey> {
        self.sessions.keys().chain(self.edges.keys().map(|(_, b)| b)).map(|user| key(*user)).collect()
    }

    fn login(&mut self, user: u8) {
        *self.sessions.entry(user).or_default() += 1;
    }

    /// Says whether there was a session.
    fn logout(&mut self, user: u8) -> bool {
        let Some(count) = self.sessions.get_mut(&user) else { return false };
        *count -= 1;
        if *count == 0 {
            self.sessions.remove(&user);
            self.edges.retain(|(watcher, _), _| *watcher != user);
        }
        true
    }

    /// Says whether the edge has a kind more.
    fn watch(&mut self, a: u8, b: u8, kind: Kinds) -> bool {
        if a == b || !self.sessions.contains_key(&a) {
            return false;
        }
        let kinds = self.edges.entry((a, b)).or_default();
        let before = std::mem::replace(kinds, kinds.and(kind));
        before != *kinds
    }

    /// Says whether the edge is gone.
    fn unwatch(&mut self, a: u8, b: u8, kind: Kinds) -> bool {
        let Some(kinds) = self.edges.get_mut(&(a, b)) else { return false };
        *kinds = kinds.without(kind);
        let gone = *kinds == Kinds::NONE;
        if gone {
            self.edges.remove(&(a, b));
        }
        gone
    }
}

/// Takes a step in both, and checks that what the index answers is what the model says.
fn take(step: &Step, index: &mut Index<()>, model: &mut Model) {
    let before = model.alive();
    match *step {
        Step::Login(a) => {
            model.login(a);
            let (slot, new) = index.add_session(key(a));
            assert_eq!((index.node(slot).unwrap().key, new), (key(a), !before.contains(&key(a))));
        }
        Step::Logout(a) => {
            if model.logout(a) {
                let gone = index.remove_session(index.find(&key(a)).unwrap());
                assert_eq!(gone.into_iter().collect::<BTreeSet<_>>(), &before - &model.alive());
            }
        }
        Step::Watch(a, b, kind) => {
            let Some(watcher) = index.find(&key(a)) else { return };
            let is_new = !model.edges.contains_key(&(a, b));
            let added = index.add_edge(watcher, key(b), kind);
            assert_eq!(added.is_some(), model.watch(a, b, kind));
            let Some(added) = added else { return };
            assert_eq!((added.new_edge, added.new_user), (is_new, !before.contains(&key(b))));
            assert_eq!(index.node(watcher).unwrap().targets[added.place as usize].slot(), added.slot);
        }
        Step::Unwatch(a, b, kind) => {
            let Some(watcher) = index.find(&key(a)) else { return };
            let targets: Vec<UserSlot> =
                index.node(watcher).unwrap().targets.iter().map(|edge| edge.slot()).collect();
            let target = index.find(&key(b));
            let removed = index.remove_edge(watcher, &key(b), kind);
            assert_eq!(removed.is_some(), model.unwatch(a, b, kind));
            let Some(removed) = removed else { return };
            assert_eq!(removed.gone, before.difference(&model.alive()).next().copied());
            assert_eq!(Some(targets[removed.place as usize]), target);
            assert_eq!(removed.last as usize, targets.len() - 1);
            let moved = index.node(watcher).unwrap().targets.get(removed.place as usize);
            assert!(moved.is_none_or(|moved| moved.slot() == targets[removed.last as usize]));
        }
    }
}

fn check(index: &mut Index<()>, model: &Model) {
    assert_eq!(index.keys().copied().collect::<BTreeSet<_>>(), model.alive());
    assert_eq!((index.len(), index.edges()), (model.alive().len(), model.edges.len()));
    let mut edges = BTreeMap::new();
    for number in 0..8 {
        let Some(slot) = index.find(&key(number)) else { continue };
        let node = index.node(slot).unwrap();
        for (place, edge) in node.targets.iter().enumerate() {
            let target = index.node(edge.slot()).unwrap();
            let back = target.watchers[edge.place as usize];
            assert_eq!((back.slot, back.place as usize), (slot, place), "each end leads to the other");
            edges.insert((node.key, target.key), edge.kinds());
        }
    }
    let expected: BTreeMap<_, _> =
        model.edges.iter().map(|((a, b), kinds)| ((key(*a), key(*b)), *kinds)).collect();
    assert_eq!(edges, expected);
    assert_eq!(index.nodes_mut().map(|node| node.watchers.len()).sum::<usize>(), model.edges.len());
}

proptest! {
    #[test]
    fn the_index_holds_what_a_model_of_sets_holds_after_every_step(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let (mut index, mut model) = (Index::default(), Model::default());
        for step in steps {
            take(&step, &mut index, &mut model);
            check(&mut index, &model);
        }
    }
}

#[test]
fn nobody_is_their_own_watcher() {
    let mut index = Index::<()>::default();
    let (slot, _) = index.add_session(key(1));
    assert_eq!(index.add_edge(slot, key(1), Kinds::FRIEND), None);
    assert_eq!(index.remove_session(slot), [key(1)]);
}

impl<T> Index<T> {
    /// Counts the bytes that edges take, with the room that lists keep for more.
    pub(in crate::hub) fn bytes_of_edges(&self) -> usize {
        let lists = self.nodes.iter().flatten().map(|node| {
            node.watchers.capacity() * size_of::<Watcher>() + node.targets.capacity() * size_of::<Target>()
        });
        lists.sum()
    }

    /// Counts the bytes that users take without their edges, with the room that lists keep for more.
    pub(in crate::hub) fn bytes_of_users(&self) -> usize {
        let name = size_of::<(UserKey, UserSlot)>() + 1;
        self.nodes.capacity() * size_of::<Option<Node<T>>>() + self.slots.capacity() * 8 / 7 * name
    }
}

#[test]
fn an_edge_of_a_thousand_users_who_watch_20_each_takes_at_most_20_bytes_with_the_room_for_more() {
    let user = |n: u32| (AppId::new(1).unwrap(), UserId::new(&format!("u{n}")).unwrap());
    let mut index = Index::<()>::default();
    for n in 0..1_000 {
        let (slot, _) = index.add_session(user(n));
        for next in 1..=20 {
            index.add_edge(slot, user((n + next) % 1_000), Kinds::SUBSCRIPTION);
        }
    }
    let (bytes, edges) = (index.bytes_of_edges(), index.edges());
    assert_eq!(edges, 20_000);
    assert!(bytes <= 20 * edges, "{bytes} bytes for {edges} edges");

    for n in 0..1_000 {
        let slot = index.find(&user(n)).unwrap();
        for next in 2..=20 {
            index.remove_edge(slot, &user((n + next) % 1_000), Kinds::SUBSCRIPTION);
        }
    }
    let room = 8 * (size_of::<Watcher>() + size_of::<Target>());
    let (bytes, most) = (index.bytes_of_edges(), 16 * index.edges() + 1_000 * room);
    assert!(bytes <= most, "{bytes} bytes for {} edges", index.edges());
}
