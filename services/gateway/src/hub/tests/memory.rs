//! What the hub costs.

use super::*;

/// Users who are here, each with a session and 20 subscriptions to the next.
const USERS: usize = 1_000;
const SUBSCRIPTIONS: usize = 20;

// DESIGN 9, B1
#[test]
fn a_session_with_20_subscriptions_takes_at_most_1_200_bytes_of_the_hub() {
    let hub = hub();
    let name = |number: usize| format!("user-{}", number % USERS);
    for number in 0..USERS {
        let handle = login(&hub, &name(number));
        let targets: Vec<UserId> = (1..=SUBSCRIPTIONS).map(|next| id(&name(number + next))).collect();
        hub.apply_list(&handle.key, 2, &targets);
        show(&hub, &name(number), "", 1);
        while hub.take_output(&handle, false).is_some() {}
    }
    let state = hub.state.lock();
    let edges = state.index.bytes_of_edges();
    let users = state.index.bytes_of_users();
    let locals = USERS * (size_of::<Local>() + 4 * size_of::<SessionSlot>());
    let sessions = state.sessions.capacity() * size_of::<Option<Session>>();
    let marks: usize = state.sessions.iter().flatten().map(|session| session.marks.bytes()).sum();
    let handles = USERS * (size_of::<SessionHandle>() + 16);
    let each = (edges + users + locals + sessions + marks + handles) / USERS;
    assert_eq!(state.index.edges(), USERS * SUBSCRIPTIONS);
    assert!(each <= 1_200, "{each} bytes each: edges {edges}, users {users}, sessions {sessions}");
}
