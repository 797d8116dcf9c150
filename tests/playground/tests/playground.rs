//! What people see who open the playground and play two users in it.

use std::{env, path::Path};

use rollcall_harness::{Proxy, eventually};
use rollcall_playground::{Line, Playground, Shown};
use serde_json::json;

/// The expiry of the profile `fast`, in milliseconds.
const EXPIRY_MS: u64 = 8_000;
/// How many lines a list of frames keeps.
const FRAMES_KEPT: usize = 100;
/// Where the picture of the page goes; a folder of the build unless this names another file.
const PICTURE: &str = "ROLLCALL_PLAYGROUND_PICTURE";

/// Starts the page with both users logged in, and bob subscribed to alice.
async fn bob_watches_alice() -> (Playground, Shown) {
    let mut page = Playground::start().await;
    page.log_in("bob").await;
    page.click("bob", "subscribe").await;
    page.sees("bob", "alice", "UNLOGINED", "").await;
    page.log_in("alice").await;
    let online = page.sees("bob", "alice", "ONLINE", "").await;
    (page, online)
}

fn is_push(line: &Line) -> bool {
    line.way == "received" && line.kind == "← statusChanged"
}

// SPEC B5 E2 F2 F4
#[tokio::test]
async fn what_alice_sets_is_shown_to_bob_with_a_greater_version_until_he_unsubscribes() {
    let (mut page, online) = bob_watches_alice().await;

    page.write("alice", "custom", "listening to music").await;
    page.click("alice", "set").await;
    let set = page.sees("bob", "alice", "ONLINE", "listening to music").await;
    assert!(set.version > online.version, "{set:?} after {online:?}");
    assert_eq!(page.sees("alice", "alice", "ONLINE", "listening to music").await, set);

    page.click("alice", "clear").await;
    let cleared = page.sees("bob", "alice", "ONLINE", "").await;
    assert!(cleared.version > set.version, "{cleared:?} after {set:?}");

    page.click("bob", "unsubscribe").await;
    page.reads("bob", ".said", "unsubscribe: ok").await;
    assert_eq!(page.status("bob", "alice").await, None);
    assert!(page.status("bob", "bob").await.is_some());
    page.end().await;
}

// SPEC A3 A4 A6
#[tokio::test]
async fn who_drops_the_connection_is_offline_and_who_logs_out_is_unlogined() {
    let (mut page, online) = bob_watches_alice().await;

    page.click("alice", "drop").await;
    let dropped = page.sees("bob", "alice", "OFFLINE", "").await;
    assert!(dropped.version > online.version, "{dropped:?} after {online:?}");
    page.reads("alice", ".connection", "dropped without logout").await;

    page.log_in("alice").await;
    page.sees("bob", "alice", "ONLINE", "").await;
    page.click("alice", "logout").await;
    page.sees("bob", "alice", "UNLOGINED", "").await;
    page.reads("alice", ".connection", "closed, 3500").await;
    // Neither comes back by itself, and the next step is the user's.
    assert!(page.can("alice", "login").await);
    assert!(!page.can("alice", "drop").await);
    page.end().await;
}

// SPEC A7
#[tokio::test]
async fn who_goes_silent_counts_down_and_is_offline_after_the_expiry_and_never_before() {
    let (mut page, _) = bob_watches_alice().await;

    page.click("alice", "silence").await;
    page.reads("alice", ".life span", "silent, expires in ").await;
    page.sees("bob", "alice", "OFFLINE", "").await;

    let of_alice = page.frames("alice").await;
    let silent = of_alice.iter().position(|line| line.kind.starts_with("silent:")).expect("it is told");
    assert!(of_alice[..silent].iter().all(|line| line.way != "sent"), "{of_alice:?}");
    let last = of_alice.iter().find(|line| line.way == "sent").expect("a frame was sent");
    let of_bob = page.frames("bob").await;
    let told = of_bob.iter().find(|line| is_push(line)).expect("bob was told");
    assert!(told.json.contains("GENERAL_STATUS_OFFLINE"), "{told:?}");
    // Both were noted in whole milliseconds.
    assert!(told.at + 1 >= last.at + EXPIRY_MS, "{told:?} after {last:?}");

    // Who speaks again comes back, without a word of the user's own.
    page.reads("alice", ".connection", "closed, 3002").await;
    page.click("alice", "silence").await;
    page.sees("bob", "alice", "ONLINE", "").await;
    page.end().await;
}

// ATTACK X11
#[tokio::test]
async fn what_could_steer_or_deceive_a_reader_is_shown_and_not_done() {
    let mut page = Playground::start().await;
    page.log_in("bob").await;
    page.click("bob", "subscribe").await;
    // The page's own field lets no line feed through, so alice is elsewhere.
    let mut alice = page.rollcall().connect().await;
    let demo = page.run("() => DEMO", json!([])).await;
    let login = json!({
        "appId": demo["appId"], "userId": "alice", "token": demo["tokens"]["alice"],
        "platform": "PLATFORM_LINUX", "deviceId": "terminal",
    });
    alice.call(json!({ "login": login })).await.ok();

    // As rollcallctl shows them, see its `escape`.
    for (written, shown) in [
        ("\u{1b}[2J", "\\u{1b}[2J"),
        ("\u{9b}31m", "\\u{9b}31m"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\u{7}\u{7f}", "\\u{7}\\u{7f}"),
        ("\u{202e}evil", "\\u{202e}evil"),
        ("a\u{2066}b", "a\\u{2066}b"),
        ("a\u{200b}b\u{200d}c\u{2028}d", "a\\u{200b}b\\u{200d}c\\u{2028}d"),
        ("\u{e0041}", "\\u{e0041}"),
        ("\u{301}a", "\\u{301}a"),
        ("a\\nb", "a\\\\nb"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("it's \"fine\" 통화 중 e\u{301} 🏖️", "it's \"fine\" 통화 중 e\u{301} 🏖️"),
        ("👩🏽\u{200d}💻", "👩🏽\u{200d}💻"),
    ] {
        alice.set(written).await.ok();
        page.sees("bob", "alice", "ONLINE", shown).await;
    }
    let harmful = "() => {
        const texts = [...document.querySelectorAll('#bob *')].map((element) => element.textContent);
        const bad = /[\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f\\u200b\\u2028\\u202e\\u2066]|[\\u{e0000}-\\u{e007f}]/u;
        return texts.filter((text) => bad.test(text)).length + document.querySelectorAll('img').length;
    }";
    assert_eq!(page.run(harmful, json!([])).await, 0);
    page.end().await;
}

#[tokio::test]
async fn frames_are_listed_both_ways_and_the_list_has_an_end() {
    let mut page = Playground::start().await;
    page.log_in("alice").await;
    let frames = page.frames("alice").await;
    let kinds: Vec<_> = frames.iter().rev().take(3).map(|line| (&*line.way, &*line.kind)).collect();
    assert_eq!(kinds[1..], [("sent", "→ login"), ("received", "← reply to login")]);
    let [login, reply] = [1, 2].map(|at| &frames[frames.len() - 1 - at].json);
    assert!(login.contains(r#""userId":"alice""#) && login.contains("…"), "{login}");
    assert!(reply.contains(r#""heartbeatSeconds":1"#), "{reply}");

    // Heartbeats share a line.
    page.reads("alice", "li:nth-child(2) span", "→ ping ×").await;

    let set = "(count) => { for (let n = 0; n < count; n++) document.querySelector('#alice form').requestSubmit(); }";
    page.run(set, json!([FRAMES_KEPT])).await;
    page.reads("alice", "li.received:first-child", "").await;
    assert_eq!(page.frames("alice").await.len(), FRAMES_KEPT);
    page.end().await;
}

#[tokio::test]
async fn a_lost_connection_is_tried_again_and_keeps_its_place() {
    let mut page = Playground::start().await;
    let proxy = Proxy::start(page.rollcall().addresses().client());
    page.visit(proxy.address()).await;
    page.log_in("alice").await;

    proxy.reset();
    page.reads("alice", "li.note", "").await;
    page.reads("alice", ".connection", "connected").await;
    let frames = loop {
        let frames = page.frames("alice").await;
        if frames.iter().filter(|line| line.kind == "← reply to login").count() == 2 {
            break frames;
        }
    };
    let again = frames.iter().find(|line| line.kind == "→ login").expect("it logged in again");
    assert!(again.json.contains(r#""resumes":""#), "{again:?}");
    assert!(frames.iter().any(|line| line.kind.starts_with("closed, 1006")), "{frames:?}");
    page.end().await;
}

#[tokio::test]
async fn a_refused_call_says_why_and_changes_nothing() {
    let mut page = Playground::start().await;
    page.log_in("alice").await;
    page.write("alice", "other", "alice").await;
    page.click("alice", "subscribe").await;
    page.reads("alice", ".said.bad", "subscribe was refused, 6017: ").await;
    page.write("alice", "custom", &"x".repeat(101)).await;
    page.click("alice", "set").await;
    page.reads("alice", ".said.bad", "setSelfStatus was refused, 6017: custom status is 101 bytes").await;
    page.sees("alice", "alice", "ONLINE", "").await;
    page.end().await;
}

#[tokio::test]
async fn the_page_runs_no_script_but_its_own_and_speaks_with_no_other_host() {
    let mut page = Playground::start().await;
    let other = page.rollcall().ops().next().expect("it has an address for operators").to_owned();
    let tries = "async (other) => {
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.body.append(script);
        const asked = await fetch(`http://${other}/livez`, { mode: 'no-cors' }).then(() => true, () => false);
        return [window.ran ?? false, asked];
    }";
    assert_eq!(page.run(tries, json!([other])).await, json!([false, false]));
    for directive in ["script-src 'sha256-", "connect-src 'self'"] {
        eventually(&format!("a breach of {directive}"), async || {
            // What the page complains of comes with its replies.
            page.run("() => null", json!([])).await;
            page.complaints().iter().any(|complaint| complaint.contains(directive))
        })
        .await;
    }
}

#[tokio::test]
async fn the_page_fits_a_telephone_and_a_desk_in_light_and_dark() {
    let (mut page, _) = bob_watches_alice().await;
    page.write("alice", "custom", &"W".repeat(100)).await;
    page.click("alice", "set").await;
    page.sees("bob", "alice", "ONLINE", &"W".repeat(100)).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (width, scheme) in [(320, "light"), (390, "dark"), (768, "light"), (1240, "dark")] {
        page.look(width, scheme).await;
        let wide = page.run("() => document.documentElement.scrollWidth", json!([])).await;
        assert!(wide.as_u64() <= Some(width.into()), "{wide} pixels wide in a window of {width}");
        page.picture(&folder.join(format!("playground-{width}-{scheme}.png"))).await;
    }
    let unnamed =
        "() => [...document.querySelectorAll('main input, main button, main progress')].filter((control) =>
        !(control.labels?.length || control.ariaLabel || control.textContent)).length";
    assert_eq!(page.run(unnamed, json!([])).await, 0);
    page.end().await;
}

#[tokio::test]
async fn the_story_of_two_users_makes_the_picture_of_the_readme() {
    let (mut page, _) = bob_watches_alice().await;
    page.write("bob", "custom", "on the call").await;
    page.click("bob", "set").await;
    page.sees("bob", "bob", "ONLINE", "on the call").await;
    page.click("alice", "subscribe").await;
    page.sees("alice", "bob", "ONLINE", "on the call").await;
    page.click("alice", "set").await;
    page.sees("bob", "alice", "ONLINE", "listening to music").await;
    page.click("alice", "silence").await;
    page.reads("alice", ".life span", "silent, expires in 5").await;

    page.look(1240, "light").await;
    let default = Path::new(env!("CARGO_TARGET_TMPDIR")).join("playground.png");
    let path = env::var_os(PICTURE).map_or(default, Into::into);
    page.picture(&path).await;

    page.end().await;
}
