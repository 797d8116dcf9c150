//! SPEC C4, D1, E1: so many calls of a kind in any 5 s, over all sessions of a user and over all gateways.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use rollcall_client::{Client, Code, Config, Platform};
use rollcall_harness::{App, Raw, Reply, Rollcall, Setup, eventually};

const SPAN: Duration = Duration::from_secs(5);
const LIMIT: usize = 20;

const NATIVE: [Platform; 6] =
    [Platform::Android, Platform::Iphone, Platform::Ipad, Platform::Windows, Platform::Mac, Platform::Linux];

/// Calls by two sessions in turn, until one is refused for their number, within a span of the first; where the
/// machine is too slow for that, it begins anew. Returns how many were allowed, and the refusal.
async fn exhaust(sessions: &mut [Raw; 2], mut call: impl AsyncFnMut(&mut Raw) -> Reply) -> (usize, Reply) {
    loop {
        let begun = Instant::now();
        for number in 0.. {
            let reply = call(&mut sessions[number % 2]).await;
            if begun.elapsed() >= SPAN {
                tokio::time::sleep(SPAN).await;
                break;
            }
            if reply.code != 0 {
                return (number, reply.refused(7008));
            }
        }
    }
}

async fn sessions(app: &App) -> [Raw; 2] {
    [app.session("bob", "one").await, app.session("bob", "two").await]
}

// SPEC C4
#[tokio::test]
async fn the_21st_query_of_others_in_5_s_is_refused_with_when_to_try_again() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut sessions = sessions(&app).await;
    let (allowed, refused) = exhaust(&mut sessions, async |bob| bob.query(&["alice", "bob"]).await).await;
    assert_eq!(allowed, LIMIT);
    let wait = refused.retry_after().expect("a refusal for the rate says when to try again");
    assert!(wait <= SPAN, "{wait:?}");

    // Whatever is not such a query goes on.
    sessions[0].query(&["bob"]).await.ok();
    sessions[0].set("still here").await.ok();
    sessions[1].subscribe(&["alice"]).await.ok();
    app.session("eve", "d").await.query(&["alice"]).await.ok();

    tokio::time::sleep(wait).await;
    sessions[1].query(&["alice"]).await.ok();
}

// SPEC D1, E1
#[tokio::test]
async fn subscribes_and_unsubscribes_are_counted_apart_and_refused_ones_change_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut sessions = sessions(&app).await;
    let mut number = 0;
    let subscribe = async |bob: &mut Raw| {
        number += 1;
        bob.subscribe(&[&format!("user{number}")]).await
    };
    let (allowed, _) = exhaust(&mut sessions, subscribe).await;
    assert_eq!(allowed, LIMIT);
    let refused = format!("user{number}");
    assert!(!sessions[0].subscriptions().await.contains(&refused));

    let (allowed, _) = exhaust(&mut sessions, async |bob| bob.unsubscribe(&["nobody"]).await).await;
    assert_eq!(allowed, LIMIT);
    assert!(!sessions[1].subscriptions().await.is_empty());
}

// SPEC C4, K1
#[tokio::test]
async fn calls_that_are_refused_for_another_reason_do_not_count() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    for _ in 0..2 * LIMIT {
        bob.query(&[]).await.refused(6017);
        bob.subscribe(&["bob"]).await.refused(6017);
        bob.unsubscribe(&["\n"]).await.refused(7003);
    }
    bob.query(&["alice"]).await.ok();
    bob.subscribe(&["alice"]).await.ok();
    bob.unsubscribe(&["alice"]).await.ok();
}

// SPEC C4, G1
#[tokio::test]
async fn a_lower_limit_of_the_app_holds() {
    let rollcall = Rollcall::start().await;
    let mut setup = Setup::default();
    setup.limits.window_calls = 3;
    let app = rollcall.app_with(setup).await;
    let mut sessions = sessions(&app).await;
    let (allowed, _) = exhaust(&mut sessions, async |bob| bob.query(&["alice"]).await).await;
    assert_eq!(allowed, 3);
}

// SPEC C4, L1
#[tokio::test]
async fn the_sdk_says_when_to_try_again() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let client = app.client("d");
    client.login(app.id, "bob", &app.token("bob")).await.unwrap();
    let mut error = None;
    eventually("a refusal", async || {
        error = client.get_user_status(&["alice"]).await.err();
        error.is_some()
    })
    .await;
    let error = error.unwrap();
    assert_eq!(error.code, Code::RateLimit);
    let wait = error.retry_after.unwrap();
    assert!(Duration::ZERO < wait && wait <= SPAN, "{wait:?}");
    tokio::time::sleep(wait).await;
    client.get_user_status(&["alice"]).await.unwrap();
}

/// Calls as fast as it can for a while, and counts the replies by their code.
async fn hammer(mut bob: Raw, until: Instant) -> BTreeMap<i32, usize> {
    let mut codes = BTreeMap::new();
    while Instant::now() < until {
        *codes.entry(bob.query(&["alice"]).await.code).or_default() += 1;
    }
    codes
}

/// What the log tells of the calls of one user.
struct Told {
    /// The decisions: when, by the store's clock, in µs, and whether the call was allowed.
    decisions: Vec<(u64, bool)>,
    /// How many calls were allowed because the store was too slow to say, whoever made them.
    unknown: usize,
}

impl Told {
    fn read(log: &str, user: &str) -> Self {
        let field = |line: &str, name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}="))?;
            rest.split(' ').next().map(str::to_owned)
        };
        let counted = log.lines().filter(|line| line.contains("counted a call"));
        let of_user = counted.filter(|line| field(line, "user").as_deref() == Some(user));
        let decisions = of_user.map(|line| {
            let at = field(line, "at").and_then(|at| at.parse().ok());
            let allowed = field(line, "allowed").and_then(|allowed| allowed.parse().ok());
            at.zip(allowed).unwrap_or_else(|| panic!("unreadable: {line}"))
        });
        let mut decisions: Vec<_> = decisions.collect();
        decisions.sort_unstable();
        Self {
            decisions,
            unknown: log.lines().filter(|line| line.contains("could not count a call")).count(),
        }
    }

    /// Checks each decision by those before it. Of a call that was lost on its way, between the two times, it is not known
    /// whether it was counted: nobody was told.
    fn assert_exact(&self, lost: &[(u64, u64)]) {
        let allowed: Vec<u64> =
            self.decisions.iter().filter(|(_, allowed)| *allowed).map(|(at, _)| *at).collect();
        assert!(
            allowed.len() > LIMIT && self.decisions.len() > 10 * LIMIT,
            "{} of {}",
            allowed.len(),
            self.decisions.len()
        );
        let span = u64::try_from(SPAN.as_micros()).unwrap();
        for (at, was_allowed) in &self.decisions {
            let before = allowed.iter().filter(|other| *other < at && **other + span > *at).count();
            let maybe = lost.iter().filter(|(sent, failed)| sent <= at && failed + span > *at).count();
            let possible = if *was_allowed { before < LIMIT } else { before + maybe >= LIMIT };
            assert!(possible, "{was_allowed} at {at}, after {before} and {maybe} that were lost");
        }
    }
}

/// Logs a user in on as many devices as one may have.
async fn all_devices(app: &App, user: &str) -> Vec<Raw> {
    let on = |platform: Platform, count: usize| (0..count).map(move |number| (platform, number));
    let devices = NATIVE.into_iter().flat_map(|platform| on(platform, 3)).chain(on(Platform::Web, 10));
    join_all(devices.map(async |(platform, number)| {
        app.session_on(&format!("PLATFORM_{platform}"), user, &format!("device{number}")).await
    }))
    .await
}

// SPEC C4, ATTACK X12
#[tokio::test]
async fn all_28_connections_that_one_user_may_have_get_what_one_does_and_none_is_refused_without_need() {
    let rollcall =
        Rollcall::builder().env("ROLLCALL__LOG__FILTER", "info,rollcall_records=debug").start().await;
    let app = rollcall.app().await;
    let mut unknown = 0;
    for user in ["bob", "carol", "dave", "eve"] {
        let connections = all_devices(&app, user).await;
        assert_eq!(connections.len(), 28);
        let until = Instant::now() + SPAN.mul_f64(1.6);
        let all: Vec<_> = join_all(connections.into_iter().map(|one| hammer(one, until))).await;

        let told = Told::read(&rollcall.log(), user);
        if told.unknown > unknown {
            // A store that was too slow has decided what nobody was told: once more.
            unknown = told.unknown;
            continue;
        }
        let replies = |code: i32| all.iter().filter_map(|codes| codes.get(&code)).sum::<usize>();
        let allowed = told.decisions.iter().filter(|(_, allowed)| *allowed).count();
        assert_eq!((replies(0), replies(0) + replies(7008)), (allowed, told.decisions.len()));
        told.assert_exact(&[]);
        return;
    }
    panic!("the store was too slow each time");
}

/// What became of the calls of a connection.
#[derive(Default)]
struct Turns {
    logins: usize,
    answered: usize,
    /// When calls were made that were lost with their session, and when that was known, in µs.
    lost: Vec<(u64, u64)>,
}

/// Calls as fast as it can for a while, and logs in again whenever another login has kicked it.
async fn hammer_in_turn(app: &App, client: Client, user: &str, until: Instant) -> Turns {
    let mut turns = Turns::default();
    while Instant::now() < until {
        let logged_in = client.login(app.id, user, &app.token(user)).await;
        turns.logins += usize::from(logged_in.is_ok());
        while logged_in.is_ok() && Instant::now() < until {
            let sent = micros();
            match client.get_user_status(&["alice"]).await {
                Ok(_) => turns.answered += 1,
                Err(error) if error.code == Code::RateLimit => {}
                Err(_) => {
                    turns.lost.push((sent, micros()));
                    break;
                }
            }
        }
    }
    turns
}

/// Reads the clock of this machine, which is the store's too.
fn micros() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    u64::try_from(passed.as_micros()).expect("a time of these centuries")
}

// SPEC C4, H4, ATTACK X12
#[tokio::test]
async fn fifty_connections_of_one_user_that_kick_each_other_get_what_one_does() {
    let rollcall =
        Rollcall::builder().env("ROLLCALL__LOG__FILTER", "info,rollcall_records=debug").start().await;
    let app = rollcall.app().await;
    let on = |platform: Platform, count: usize| (0..count).map(move |number| (platform, number));
    let mut unknown = 0;
    for user in ["bob", "carol", "dave", "eve"] {
        let devices = NATIVE.into_iter().flat_map(|platform| on(platform, 6)).chain(on(Platform::Web, 14));
        let clients: Vec<_> = devices
            .map(|(platform, number)| {
                let device = format!("device{number}").parse().expect("a device id");
                Client::new(Config::new(rollcall.url(), platform, device))
            })
            .collect();
        assert_eq!(clients.len(), 50);
        let until = Instant::now() + SPAN.mul_f64(1.6);
        let each = clients.into_iter().map(|client| hammer_in_turn(&app, client, user, until));
        let all = join_all(each).await;

        let told = Told::read(&rollcall.log(), user);
        if told.unknown > unknown {
            unknown = told.unknown;
            continue;
        }
        let allowed = told.decisions.iter().filter(|(_, allowed)| *allowed).count();
        let answered: usize = all.iter().map(|turns| turns.answered).sum();
        assert!(LIMIT <= answered && answered <= allowed, "{answered} of {allowed}");
        let logins: usize = all.iter().map(|turns| turns.logins).sum();
        assert!(logins > 50, "{logins} logins of 50 connections of which 28 may be logged in");
        let lost: Vec<_> = all.into_iter().flat_map(|turns| turns.lost).collect();
        told.assert_exact(&lost);
        return;
    }
    panic!("the store was too slow each time");
}
