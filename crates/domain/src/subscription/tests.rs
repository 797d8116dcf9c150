//! Tests of the subscription list, by example and against a reference model.

use proptest::prelude::*;

use super::*;

fn id(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn ids(names: &[&str]) -> Vec<UserId> {
    names.iter().copied().map(id).collect()
}

fn numbered(range: std::ops::Range<u32>) -> Vec<UserId> {
    range.map(|n| id(&format!("u{n}"))).collect()
}

// SPEC D2
#[test]
fn the_least_recently_subscribed_goes_beyond_the_limit() {
    let owner = id("me");
    let mut list = SubscriptionList::default();
    list.subscribe(&owner, &numbered(0..200), 200).unwrap();
    let done = list.subscribe(&owner, &ids(&["new"]), 200).unwrap();
    assert_eq!(done.evicted, ids(&["u0"]));
    assert_eq!(done.added, ids(&["new"]));
    assert_eq!(list.ids().len(), 200);
}

// SPEC D2
#[test]
fn subscribing_again_refreshes_the_place() {
    let owner = id("me");
    let mut list = SubscriptionList::from_ids(ids(&["a", "b", "c"]));
    let done = list.subscribe(&owner, &ids(&["a"]), 3).unwrap();
    assert_eq!(done, Subscribed::default());
    assert_eq!(list.subscribe(&owner, &ids(&["d"]), 3).unwrap().evicted, ids(&["b"]));
    assert_eq!(list.ids(), ids(&["c", "a", "d"]));
}

// SPEC D2
#[test]
fn a_lowered_limit_applies_at_the_next_subscribe() {
    let mut list = SubscriptionList::from_ids(ids(&["a", "b", "c"]));
    let done = list.subscribe(&id("me"), &ids(&["d"]), 2).unwrap();
    assert_eq!(done.evicted, ids(&["a", "b"]));
    assert_eq!(list.ids(), ids(&["c", "d"]));
}

// SPEC D2
#[test]
fn an_id_that_its_own_call_pushes_out_is_named_as_evicted() {
    let mut list = SubscriptionList::from_ids(ids(&["a"]));
    let done = list.subscribe(&id("me"), &ids(&["b", "c", "d"]), 2).unwrap();
    assert_eq!(done, Subscribed { added: ids(&["c", "d"]), evicted: ids(&["a", "b"]) });
}

// SPEC D3
#[test]
fn the_own_id_is_refused_and_nothing_changes() {
    let mut list = SubscriptionList::from_ids(ids(&["a"]));
    let refusal = list.subscribe(&id("me"), &ids(&["b", "me"]), 200).unwrap_err();
    assert_eq!(refusal.code, Code::InvalidParameter);
    assert_eq!(list.ids(), ids(&["a"]));
}

// SPEC E1
#[test]
fn an_empty_unsubscribe_clears_all_and_a_missing_id_is_no_error() {
    let mut list = SubscriptionList::from_ids(ids(&["a", "b"]));
    assert_eq!(list.unsubscribe(&ids(&["x", "b"])), ids(&["b"]));
    assert_eq!(list.unsubscribe(&[]), ids(&["a"]));
    assert!(list.ids().is_empty());
}

#[derive(Debug, Clone)]
enum Call {
    Subscribe(Vec<u8>, usize),
    Unsubscribe(Vec<u8>),
}

fn call() -> impl Strategy<Value = Call> {
    let names = prop::collection::vec(0u8..12, 0..8);
    prop_oneof![
        (names.clone(), 1usize..8).prop_map(|(names, limit)| Call::Subscribe(names, limit)),
        names.prop_map(Call::Unsubscribe),
    ]
}

proptest! {
    /// The reference model applies one id at a time to a list of (id, last asked).
    #[test]
    fn any_calls_agree_with_a_model_that_takes_one_id_at_a_time(calls in prop::collection::vec(call(), 1..40)) {
        let owner = id("me");
        let mut list = SubscriptionList::default();
        let mut model: Vec<(u64, UserId)> = Vec::new();
        let mut clock = 0;
        for call in calls {
            match call {
                Call::Subscribe(names, limit) => {
                    let targets: Vec<UserId> = names.iter().map(|n| id(&n.to_string())).collect();
                    let before: Vec<UserId> = model.iter().map(|(_, id)| *id).collect();
                    for target in &targets {
                        clock += 1;
                        model.retain(|(_, id)| id != target);
                        model.push((clock, *target));
                    }
                    let keep = model.len().min(limit);
                    let gone: Vec<UserId> = model.drain(..model.len() - keep).map(|(_, id)| id).collect();
                    let done = list.subscribe(&owner, &targets, limit).unwrap();
                    prop_assert_eq!(done.evicted, gone);
                    for added in done.added {
                        prop_assert!(!before.contains(&added) && targets.contains(&added));
                    }
                }
                Call::Unsubscribe(names) => {
                    let targets: Vec<UserId> = names.iter().map(|n| id(&n.to_string())).collect();
                    list.unsubscribe(&targets);
                    model.retain(|(_, id)| !targets.is_empty() && !targets.contains(id));
                }
            }
            let ids: Vec<UserId> = model.iter().map(|(_, id)| *id).collect();
            prop_assert_eq!(list.ids(), ids);
        }
    }
}
