//! Tests of what becomes of edges that are refused, or not served.

use std::cell::RefCell;

use super::*;

fn import() -> Import {
    Import { output: Output::Table, counts: Counts::default(), progress: Progress::new(None, Duration::ZERO) }
}

fn lines(names: &[&str]) -> Vec<Line> {
    let edge = |name: &&str| FriendEdge { user_id: (*name).to_owned(), friend_id: "friend".to_owned() };
    (1..).zip(names).map(|(number, name)| Line { number, edge: Ok(edge(name)) }).collect()
}

fn result(code: u32, added: bool) -> FriendResult {
    FriendResult { code, message: "said".to_owned(), added }
}

fn unreachable() -> Failure {
    Failure::Call { what: "friend import", code: Code::ServerTimeout, description: "away".to_owned() }
}

/// Answers calls with these, one after the other, and notes the users of each.
async fn send(
    import: &mut Import,
    lines: Vec<Line>,
    answers: Vec<Result<Vec<FriendResult>, Failure>>,
) -> (Result<(), Failure>, Vec<Vec<String>>) {
    let (asked, answers) = (RefCell::new(Vec::new()), RefCell::new(answers.into_iter()));
    let call = async |edges: Vec<FriendEdge>| {
        asked.borrow_mut().push(edges.into_iter().map(|edge| edge.user_id).collect());
        answers.borrow_mut().next().expect("no more calls than answers")
    };
    let ended = import.batch(lines, &[Duration::ZERO; 2], call).await;
    assert!(answers.borrow_mut().next().is_none(), "a call is missing");
    (ended, asked.into_inner())
}

#[tokio::test]
async fn results_are_counted_and_a_line_that_is_no_edge_is_not_sent() {
    let mut import = import();
    let mut lines = lines(&["a", "b", "c"]);
    lines.push(Line { number: 4, edge: Err("no tab".to_owned()) });
    let results = vec![result(0, true), result(7003, false), result(0, false)];
    let (ended, asked) = send(&mut import, lines, vec![Ok(results)]).await;
    ended.unwrap();
    assert_eq!(asked, [["a", "b", "c"]]);
    assert_eq!(import.counts, Counts { edges: 4, added: 1, known: 1, refused: 2 });
    assert!(matches!(import.finish(), Err(Failure::SomeRefused { refused: 2, edges: 4 })));
}

#[tokio::test]
async fn a_batch_that_was_not_served_is_sent_again_and_given_up_after_the_last_pause() {
    let mut good = import();
    let answers = vec![Err(unreachable()), Err(unreachable()), Ok(vec![result(0, true)])];
    let (ended, asked) = send(&mut good, lines(&["a"]), answers).await;
    ended.unwrap();
    assert_eq!((asked.len(), good.counts.added), (3, 1));

    let answers = vec![Err(unreachable()), Err(unreachable()), Err(unreachable())];
    let (ended, _) = send(&mut import(), lines(&["a"]), answers).await;
    assert_eq!(ended.unwrap_err().exit_code(), 3);
}

#[tokio::test]
async fn a_batch_that_is_refused_is_not_sent_again() {
    let refused = Failure::Call { what: "", code: Code::AppUnknown, description: String::new() };
    let (ended, _) = send(&mut import(), lines(&["a"]), vec![Err(refused)]).await;
    assert_eq!(ended.unwrap_err().exit_code(), 1);
}

#[tokio::test]
async fn of_a_batch_that_was_served_in_part_the_rest_is_sent_again() {
    let mut import = import();
    let answers = vec![
        Ok(vec![result(0, true), result(70169, false), result(6017, false), result(6012, false)]),
        Ok(vec![result(0, true), result(70169, false)]),
        Ok(vec![result(70169, false)]),
    ];
    let (ended, asked) = send(&mut import, lines(&["a", "b", "c", "d"]), answers).await;
    ended.unwrap();
    assert_eq!(asked, [vec!["a", "b", "c", "d"], vec!["b", "d"], vec!["d"]]);
    assert_eq!(import.counts, Counts { edges: 4, added: 2, known: 0, refused: 2 });
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_a_failure() {
    let (ended, _) = send(&mut import(), lines(&["a", "b"]), vec![Ok(vec![result(0, true)])]).await;
    assert!(ended.unwrap_err().to_string().contains("1 results came for 2 edges"));
}
