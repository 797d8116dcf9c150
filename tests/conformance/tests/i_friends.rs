//! SPEC I: who is whose friend, as backends set it. What friends hear of each other is in the chapter of notifications.

use rollcall_conformance::{borrowed, ids};
use rollcall_harness::{App, Rollcall, Setup, eventually};
use rollcall_proto::{
    common::v1::Limits,
    refusal,
    subscription::v1::{
        AddFriendsRequest, FriendEdge, FriendResult, GetFriendsRequest, GetListVersionsRequest,
        ImportFriendsRequest, ListFriendsRequest, ListFriendsResponse, RemoveFriendsRequest,
    },
};
use tonic::Status;

/// Lists all friends of a user, and the version, as each instance of the service tells a gateway.
async fn held(rollcall: &Rollcall, app: &App, user: &str) -> (Vec<String>, u64) {
    let mut told = Vec::new();
    for mut service in rollcall.subscriptions() {
        let request = GetFriendsRequest { app_id: app.id, user_id: user.to_owned() };
        let response = service.get_friends(request).await.unwrap().into_inner();
        told.push((response.friend_ids, response.version));
    }
    assert!(told.iter().all(|one| *one == told[0]), "instances agree: {told:?}");
    told.swap_remove(0)
}

async fn add(app: &App, user: &str, friends: &[&str]) -> Result<Vec<String>, Status> {
    let friend_ids = friends.iter().map(|id| (*id).to_owned()).collect();
    let request = AddFriendsRequest { app_id: app.id, user_id: user.to_owned(), friend_ids };
    Ok(app.friends().add_friends(request).await?.into_inner().added)
}

async fn remove(app: &App, user: &str, friends: &[&str]) -> Result<Vec<String>, Status> {
    let friend_ids = friends.iter().map(|id| (*id).to_owned()).collect();
    let request = RemoveFriendsRequest { app_id: app.id, user_id: user.to_owned(), friend_ids };
    Ok(app.friends().remove_friends(request).await?.into_inner().removed)
}

async fn import(app: &App, edges: &[(&str, &str)]) -> Result<Vec<FriendResult>, Status> {
    let edge = |(user, friend): &(&str, &str)| {
        let (user_id, friend_id) = ((*user).to_owned(), (*friend).to_owned());
        FriendEdge { user_id, friend_id }
    };
    let request = ImportFriendsRequest { app_id: app.id, edges: edges.iter().map(edge).collect() };
    Ok(app.friends().import_friends(request).await?.into_inner().results)
}

async fn page(app: &App, user: &str, size: u32, token: &str) -> Result<ListFriendsResponse, Status> {
    let (app_id, user_id, page_token) = (app.id, user.to_owned(), token.to_owned());
    let request = ListFriendsRequest { app_id, user_id, page_size: size, page_token };
    Ok(app.friends().list_friends(request).await?.into_inner())
}

fn code<T>(result: Result<T, Status>) -> i32 {
    result.err().map_or(0, |status| refusal::from_status(&status).code.number())
}

// SPEC I1
#[tokio::test]
async fn both_directions_are_two_edges_and_no_edition_or_switch_gates_them() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(Setup::standard()).await;
    assert_eq!(add(&app, "alice", &["carol", "bob", "carol"]).await.unwrap(), ["carol", "bob"]);
    assert_eq!(add(&app, "alice", &["bob", "dave"]).await.unwrap(), ["dave"]);
    assert_eq!(held(&rollcall, &app, "alice").await.0, ["bob", "carol", "dave"]);
    assert_eq!(held(&rollcall, &app, "bob").await, (vec![], 0));
    app.befriend("bob", &["alice"]).await;
    assert_eq!(remove(&app, "alice", &["dave", "bob", "nobody", "dave"]).await.unwrap(), ["dave", "bob"]);
    assert_eq!(held(&rollcall, &app, "alice").await.0, ["carol"]);
    assert_eq!(held(&rollcall, &app, "bob").await.0, ["alice"]);
}

// SPEC I1
#[tokio::test]
async fn a_version_goes_on_with_each_change_and_with_nothing_else() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut versions = vec![0];
    app.befriend("alice", &["bob"]).await;
    versions.push(held(&rollcall, &app, "alice").await.1);
    app.befriend("alice", &["bob"]).await;
    app.unfriend("alice", &["nobody"]).await;
    assert_eq!(import(&app, &[("alice", "bob")]).await.unwrap(), [FriendResult::default()]);
    assert_eq!(held(&rollcall, &app, "alice").await.1, versions[1]);
    app.unfriend("alice", &["bob"]).await;
    versions.push(held(&rollcall, &app, "alice").await.1);
    app.befriend("alice", &["bob"]).await;
    versions.push(held(&rollcall, &app, "alice").await.1);
    assert!(versions.is_sorted_by(|before, after| before < after), "{versions:?}");

    let user_ids = ["bob", "alice"].map(str::to_owned).to_vec();
    let request = GetListVersionsRequest { app_id: app.id, user_ids };
    let read = rollcall.subscription().get_list_versions(request).await.unwrap().into_inner();
    assert_eq!((read.versions, read.friend_versions), (vec![0, 0], vec![0, versions[3]]));
}

// SPEC I1
#[tokio::test]
async fn a_user_has_at_most_3000_friends_and_an_add_beyond_adds_nobody() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    for thousand in ["x", "y", "z"] {
        app.befriend("alice", &borrowed(&ids(thousand, 1_000))).await;
    }
    let refused = add(&app, "alice", &["x0", "one more"]).await.unwrap_err();
    let refused = refusal::from_status(&refused);
    assert_eq!(refused.code.number(), 6017);
    assert!(
        refused.message.contains("3000 friends") && refused.message.contains("at most 3000"),
        "{refused}"
    );
    assert_eq!(add(&app, "alice", &["x0"]).await.unwrap(), [""; 0]);
    let codes: Vec<u32> = import(&app, &[("alice", "one more"), ("alice", "y0"), ("bob", "one more")])
        .await
        .unwrap()
        .into_iter()
        .map(|result| result.code)
        .collect();
    assert_eq!(codes, [6017, 0, 0]);

    app.unfriend("alice", &["x0"]).await;
    assert_eq!(add(&app, "alice", &["one more"]).await.unwrap(), ["one more"]);
    assert_eq!(held(&rollcall, &app, "alice").await.0.len(), 3_000);
    assert_eq!(page(&app, "alice", 1, "").await.unwrap().total, 3_000);
}

// SPEC G1, I1
#[tokio::test]
async fn a_lowered_limit_bounds_the_next_add_and_removes_nobody() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    app.befriend("alice", &["a", "b", "c"]).await;
    app.set(Setup { limits: Limits { friends: 2, ..Limits::default() }, ..Setup::default() }).await;
    let mut probes = 0;
    eventually("the limit to hold", async || {
        probes += 1;
        code(add(&app, &format!("probe{probes}"), &["a", "b", "c"]).await) == 6017
    })
    .await;
    assert_eq!(code(add(&app, "alice", &["d"]).await), 6017);
    assert_eq!(code(add(&app, "alice", &["a"]).await), 0);
    assert_eq!(held(&rollcall, &app, "alice").await.0, ["a", "b", "c"]);
    app.unfriend("alice", &["a", "b"]).await;
    assert_eq!(code(add(&app, "alice", &["d"]).await), 0);
}

// SPEC I1
#[tokio::test]
async fn a_call_names_1_to_1000_friends_and_one_bad_id_refuses_it_whole() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (most, more) = (ids("u", 1_000), ids("u", 1_001));
    let edges: Vec<(&str, &str)> = more.iter().map(|user| (user.as_str(), "star")).collect();
    assert_eq!(code(add(&app, "alice", &[]).await), 6017);
    assert_eq!(code(add(&app, "alice", &borrowed(&more)).await), 6017);
    assert_eq!(code(remove(&app, "alice", &[]).await), 6017);
    assert_eq!(code(remove(&app, "alice", &borrowed(&more)).await), 6017);
    assert_eq!(code(import(&app, &[]).await), 6017);
    assert_eq!(code(import(&app, &edges).await), 6017);
    assert_eq!(code(add(&app, "alice", &["bob", "alice"]).await), 6017);
    assert_eq!(code(add(&app, "alice", &["bob", "new\nline"]).await), 7003);
    assert_eq!(code(add(&app, "", &["bob"]).await), 7003);
    assert_eq!(code(remove(&app, "alice", &[""]).await), 7003);
    assert_eq!(held(&rollcall, &app, "alice").await, (vec![], 0));
    assert_eq!(held(&rollcall, &app, "u0").await, (vec![], 0));

    assert_eq!(add(&app, "alice", &borrowed(&most)).await.unwrap().len(), 1_000);
    assert_eq!(remove(&app, "alice", &borrowed(&most)).await.unwrap().len(), 1_000);
    let results = import(&app, &edges[..1_000]).await.unwrap();
    assert!(results.len() == 1_000 && results.iter().all(|result| result.code == 0 && result.added));
    assert_eq!(held(&rollcall, &app, "u999").await.0, ["star"]);
}

// SPEC I1
#[tokio::test]
async fn an_import_answers_for_each_edge_in_order_and_one_that_is_refused_hinders_no_other() {
    let rollcall = Rollcall::start().await;
    let limits = Limits { friends: 2, ..Limits::default() };
    let app = rollcall.app_with(Setup { limits, ..Setup::default() }).await;
    app.befriend("alice", &["b"]).await;
    let edges = [
        ("alice", "z"),
        ("bob", "alice"),
        ("alice", "alice"),
        ("alice", "a"),
        ("alice", "b"),
        ("\u{7f}", "alice"),
        ("alice", ""),
        ("bob", "carol"),
        ("bob", "alice"),
    ];
    let results = import(&app, &edges).await.unwrap();
    let told: Vec<(u32, bool)> = results.iter().map(|result| (result.code, result.added)).collect();
    let (new, known, refused, malformed) = ((0, true), (0, false), (6017, false), (7003, false));
    assert_eq!(told, [new, new, refused, refused, known, malformed, malformed, new, known]);
    assert!(results.iter().all(|result| (result.code == 0) == result.message.is_empty()), "{results:?}");
    assert_eq!(held(&rollcall, &app, "alice").await.0, ["b", "z"]);
    assert_eq!(held(&rollcall, &app, "bob").await.0, ["alice", "carol"]);

    let again = import(&app, &edges).await.unwrap();
    let told: Vec<(u32, bool)> = again.iter().map(|result| (result.code, result.added)).collect();
    assert_eq!(told, [known, known, refused, refused, known, malformed, malformed, known, known]);
}

// SPEC I1
#[tokio::test]
async fn who_stays_a_friend_is_on_one_page_once_whoever_comes_and_goes() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let stay = ids("stay", 20);
    app.befriend("alice", &borrowed(&stay)).await;
    app.befriend("alice", &borrowed(&ids("go", 20))).await;
    let (mut seen, mut token) = (Vec::new(), String::new());
    for turn in 0.. {
        let page = page(&app, "alice", 7, &token).await.unwrap();
        assert!(page.friend_ids.len() <= 7 && page.friend_ids.is_sorted());
        seen.extend(page.friend_ids);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        // Who was last on a page may go, and others come before and after.
        if let Some(last) = seen.last().filter(|last| last.starts_with("go")) {
            app.unfriend("alice", &[last]).await;
        }
        app.befriend("alice", &[&format!("a{turn}"), &format!("zz{turn}")]).await;
    }
    assert!(seen.is_sorted_by(|before, after| before < after), "{seen:?}");
    assert!(stay.iter().all(|id| seen.contains(id)), "{seen:?}");

    assert_eq!(page(&app, "nobody", 0, "").await.unwrap(), ListFriendsResponse::default());
    assert_eq!(code(page(&app, "alice", 1_001, "").await), 6017);
    assert_eq!(code(page(&app, "alice", 0, "what no page said\n").await), 6017);
    app.befriend("alice", &borrowed(&ids("many", 1_000))).await;
    assert_eq!(page(&app, "alice", 0, "").await.unwrap().friend_ids.len(), 1_000);
}

// SPEC G3, I1
#[tokio::test]
async fn friends_in_one_app_are_none_in_another_and_an_unknown_app_has_no_friends() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    app.befriend("alice", &["bob"]).await;
    assert_eq!(held(&rollcall, &other, "alice").await, (vec![], 0));
    assert_eq!(remove(&other, "alice", &["bob"]).await.unwrap(), [""; 0]);
    assert_eq!(page(&other, "alice", 0, "").await.unwrap().total, 0);
    assert_eq!(held(&rollcall, &app, "alice").await.0, ["bob"]);

    for (id, expected) in [(999_999, 70020), (0, 6017)] {
        let mut unknown = app.clone();
        unknown.id = id;
        assert_eq!(code(add(&unknown, "alice", &["bob"]).await), expected);
        assert_eq!(code(remove(&unknown, "alice", &["bob"]).await), expected);
        assert_eq!(code(import(&unknown, &[("alice", "bob")]).await), expected);
        assert_eq!(code(page(&unknown, "alice", 0, "").await), expected);
        let get = GetFriendsRequest { app_id: id, user_id: "alice".to_owned() };
        assert_eq!(code(rollcall.subscription().get_friends(get).await), expected);
    }
}
