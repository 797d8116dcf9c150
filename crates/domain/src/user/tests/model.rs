//! Any order of events, against a reference model.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Event {
    Login(u64, Platform, u8),
    Logout(u64),
    Lost(u64),
    Expired(Vec<u64>),
    Set(u64, u64, String, Option<u64>),
    ClearDue,
    Kick,
}

fn event() -> impl Strategy<Value = Event> {
    let counter = 1u64..10;
    let platform = prop::sample::select(&Platform::ALL[..3]);
    prop_oneof![
        3 => (counter.clone(), platform, 0u8..3).prop_map(|(n, p, d)| Event::Login(n, p, d)),
        1 => counter.clone().prop_map(Event::Logout),
        1 => counter.clone().prop_map(Event::Lost),
        1 => prop::collection::vec(counter.clone(), 0..4).prop_map(Event::Expired),
        1 => Just(Event::Kick),
        2 => (counter, 0u64..4, "[a-c]{0,1}", prop::option::of(0u64..9))
            .prop_map(|(n, op, text, after)| Event::Set(n, op, text, after)),
        1 => Just(Event::ClearDue),
    ]
}

/// The reference model: for each platform the log of what happened, read back from the end.
#[derive(Default)]
struct Model {
    live: Vec<(u64, Platform, u8)>,
    marked: std::collections::BTreeSet<Platform>,
    custom: String,
    clear_at: Option<Timestamp>,
    used: Vec<u64>,
    /// The last command of each session.
    ops: BTreeMap<u64, u64>,
}

impl Model {
    fn drop_session(&mut self, counter: u64, mark: bool) {
        let Some(i) = self.live.iter().position(|s| s.0 == counter) else { return };
        let (_, platform, _) = self.live.remove(i);
        if !mark {
            self.marked.remove(&platform);
        } else if !self.live.iter().any(|s| s.1 == platform) {
            self.marked.insert(platform);
        }
        if self.live.is_empty() {
            self.custom.clear();
            self.clear_at = None;
        }
    }

    fn general(&self) -> General {
        match (self.live.is_empty(), self.marked.is_empty()) {
            (false, _) => General::Online,
            (true, false) => General::Offline,
            (true, true) => General::Unlogined,
        }
    }
}

proptest! {
    // SPEC A5
    #[test]
    fn any_order_of_events_agrees_with_the_model(events in prop::collection::vec(event(), 1..60)) {
        let mut state = UserState::default();
        let mut model = Model::default();
        // The timer as the decisions leave it.
        let mut armed = None;
        for (step, event) in events.into_iter().enumerate() {
            let now = at(step as u64);
            let decision = match event {
                Event::Login(n, platform, d) => {
                    // A session id is never used again once it has ended.
                    let live = model.live.iter().any(|s| s.0 == n);
                    if model.used.contains(&n) && !live { continue }
                    if !live {
                        model.live.retain(|s| (s.1, s.2) != (platform, d));
                        model.live.push((n, platform, d));
                        model.marked.remove(&platform);
                        model.used.push(n);
                    }
                    try_login(&state, n, platform, &format!("d{d}"), step as u64)
                }
                Event::Logout(n) => { model.drop_session(n, false); state.on_logout(session(n), now) }
                Event::Lost(n) => {
                    model.drop_session(n, true);
                    state.on_connection_lost(session(n), EndReason::Closed, now)
                }
                Event::Kick => {
                    model = Model { used: model.used, ops: model.ops, ..Model::default() };
                    Some(state.on_kick(now))
                }
                Event::Expired(ns) => {
                    for n in &ns { model.drop_session(*n, true) }
                    state.on_sessions_due(&ns.into_iter().map(session).collect::<Vec<_>>(), &[], now)
                }
                Event::ClearDue => {
                    if model.clear_at.is_some_and(|at| at <= now) {
                        model.custom.clear();
                        model.clear_at = None;
                    }
                    state.on_clear_due(now)
                }
                Event::Set(n, op, text, after) => {
                    let clear_at = after.map(|after| at(step as u64 + after));
                    let last = model.ops.entry(n).or_default();
                    if model.live.iter().any(|s| s.0 == n) && (op == 0 || op > *last) {
                        model.custom.clone_from(&text);
                        model.clear_at = clear_at.filter(|_| !text.is_empty());
                        *last = op.max(*last);
                    }
                    let text = CustomStatus::new(&text).unwrap();
                    state.on_set_custom(session(n), Op(op), text, clear_at, now).unwrap_or_default()
                }
            };
            if let Some(decision) = decision {
                let status_changed = decision.state.status() != state.status();
                prop_assert_eq!(decision.change == Some(Change::Status), status_changed);
                for timer in decision.timers {
                    match timer {
                        Timer::SetClear(at) => armed = Some(at),
                        Timer::RemoveClear => armed = None,
                        Timer::Set(..) | Timer::Remove(_) => {}
                    }
                }
                state = decision.state;
            }
            prop_assert_eq!((state.clear_at, armed), (model.clear_at, model.clear_at));
            prop_assert_eq!(state.general(), model.general());
            prop_assert_eq!(state.custom.as_str(), model.custom.as_str());
            prop_assert_eq!(state.sessions.len(), model.live.len());
        }
    }
}
