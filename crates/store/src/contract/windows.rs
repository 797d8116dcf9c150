//! Claims on windows: exact at every limit and span, and apart for each user and kind. They are replayed by the times
//! that the store returns, so that no machine is too slow for them.

use std::time::Duration;

use rollcall_domain::time::Timestamp;

use super::{
    Tested,
    given::{app, user},
    keys::SYNTAX,
};
use crate::port::{Admission, Window, WindowKind};

const HOUR: Duration = Duration::from_secs(3600);

pub async fn so_many_calls_are_allowed_in_a_span_and_no_more(store: Tested) {
    let first = take(&store, window("a"), 3, HOUR).await;
    for admission in
        [first, take(&store, window("a"), 3, HOUR).await, take(&store, window("a"), 3, HOUR).await]
    {
        assert_eq!(admission.retry_after, None);
    }
    for _ in 0..3 {
        let refused = take(&store, window("a"), 3, HOUR).await;
        let until = refused.at.plus(refused.retry_after.expect("a fourth call is refused"));
        assert_eq!(until, first.at.plus(HOUR), "when the first counts no more");
    }
}

pub async fn every_decision_agrees_with_the_calls_allowed_before_it(store: Tested) {
    for (name, span) in [("a", 20), ("b", 2_000), ("c", 50_000)] {
        let span = Duration::from_micros(span);
        let mut allowed: Vec<Timestamp> = Vec::new();
        for n in 0..300 {
            // A limit that is lowered and raised again.
            let limit = if n % 100 < 80 { 4 } else { 2 };
            let Admission { at, retry_after } = take(&store, window(name), limit, span).await;
            let live: Vec<_> = allowed.iter().filter(|allowed| allowed.plus(span) > at).collect();
            let expected = live.len().checked_sub(limit as usize).map(|first| live[first].plus(span));
            assert_eq!(retry_after.map(|wait| at.plus(wait)), expected, "at {at:?} after {live:?}");
            if retry_after.is_none() {
                allowed.push(at);
            }
        }
        assert!(allowed.len() >= 4);
    }
}

pub async fn a_limit_of_none_allows_nothing(store: Tested) {
    assert_eq!(take(&store, window("a"), 0, HOUR).await.retry_after, Some(HOUR));
    assert_eq!(take(&store, window("a"), 1, HOUR).await.retry_after, None);
}

pub async fn windows_of_users_apps_and_kinds_are_apart(store: Tested) {
    let kinds = [WindowKind::Query, WindowKind::Subscribe, WindowKind::Unsubscribe];
    let mut taken = Vec::new();
    for name in SYNTAX {
        for app in [app(1), app(11)] {
            taken.extend(kinds.map(|kind| Window { app, user: user(name), kind }));
        }
    }
    for expected in [true, false] {
        for window in &taken {
            let admission = take(&store, *window, 1, HOUR).await;
            assert_eq!(admission.retry_after.is_none(), expected, "{window:?}");
        }
    }
}

pub async fn of_calls_at_once_exactly_so_many_are_allowed(store: Tested) {
    let calls = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { take(&store, window("a"), 20, HOUR).await })
    });
    let mut allowed = 0;
    for call in calls.collect::<Vec<_>>() {
        allowed += usize::from(call.await.expect("the task ends").retry_after.is_none());
    }
    assert_eq!(allowed, 20);
}

fn window(name: &str) -> Window {
    Window { app: app(1), user: user(name), kind: WindowKind::Query }
}

async fn take(store: &Tested, window: Window, limit: u32, span: Duration) -> Admission {
    store.window(&window, limit, span).await.expect("the store has windows")
}
