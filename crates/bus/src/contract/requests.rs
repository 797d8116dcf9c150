//! Claims on requests, each of which goes to one of those who serve its subject.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{
    Tested, heartbeat,
    tested::{asked, within},
    trace,
};
use crate::{
    port::{Error, Message},
    subject::Subject,
};

/// A time-out of requests that are not to be answered. Until then they must reach who serves, on a busy machine too.
const SHORT: Duration = Duration::from_secs(1);

pub async fn a_request_is_answered(bus: Tested) {
    let server = bus.echo("server").await;

    assert_eq!(bus.ask("hello").await.expect("the request is answered"), "server hello");
    assert_eq!(bus.ask("").await.expect("the request is answered"), "server ");
    server.abort();
}

pub async fn a_request_arrives_as_it_was_sent(bus: Tested) {
    let mut server = bus.server().await;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let message = Message { trace: trace(5), payload: Bytes::from(every_byte.clone()), ..heartbeat("") };

    let asker = tokio::spawn({
        let (bus, message) = (bus.clone(), message.clone());
        async move { bus.request(message, super::LIMIT).await }
    });
    let request = asked(&mut server).await;

    assert_eq!(request.message, message);
    request.reply.send(Bytes::from(every_byte.clone())).expect("the asker waits");
    let answer = within(asker).await.expect("the asker ends");
    assert_eq!(answer.expect("the request is answered"), every_byte);
}

pub async fn a_request_goes_to_exactly_one(bus: Tested) {
    let mut servers = [bus.server().await, bus.server().await, bus.server().await];

    let askers: JoinSet<_> = (0..30)
        .map(|n| {
            let bus = bus.clone();
            async move { bus.ask(n.to_string()).await }
        })
        .collect();
    let [first, second, third] = &mut servers;
    let mut seen = Vec::new();
    while seen.len() < 30 {
        let request = within(async {
            tokio::select! {
                request = first.requests.recv() => request,
                request = second.requests.recv() => request,
                request = third.requests.recv() => request,
            }
        });
        let request = request.await.expect("serving goes on");
        seen.push(request.message.payload.clone());
        request.reply.send(Bytes::new()).expect("the asker waits");
    }

    for answer in within(askers.join_all()).await {
        answer.expect("the request is answered");
    }
    // All are answered, so a second copy of one would have been sent before now.
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 30);
    assert!(servers.iter_mut().all(|server| server.requests.try_recv().is_err()));
}

pub async fn requests_spread_over_those_who_serve(bus: Tested) {
    let names = ["first", "second", "third"];
    let mut servers = Vec::new();
    for name in names {
        servers.push(bus.echo(name).await);
    }

    // By lot each of three would be left out of 200 with a chance of 10^-35.
    let mut answers = BTreeSet::new();
    for _ in 0..200 {
        answers.insert(bus.ask("who").await.expect("the request is answered"));
    }

    assert_eq!(answers, names.map(|name| format!("{name} who")).into());
    servers.iter().for_each(tokio::task::JoinHandle::abort);
}

pub async fn answers_find_their_own_requests(bus: Tested) {
    let servers = [bus.echo("server").await, bus.echo("server").await];

    let askers: JoinSet<_> = (0..100)
        .map(|n| {
            let bus = bus.clone();
            async move { (n, bus.ask(n.to_string()).await) }
        })
        .collect();

    for (n, answer) in within(askers.join_all()).await {
        assert_eq!(answer.expect("the request is answered"), format!("server {n}"));
    }
    servers.iter().for_each(tokio::task::JoinHandle::abort);
}

pub async fn an_unanswered_request_times_out(bus: Tested) {
    let mut server = bus.server().await;

    let answer = within(bus.request(heartbeat("hello"), SHORT)).await;

    assert_timed_out(&answer);
    assert_eq!(asked(&mut server).await.message, heartbeat("hello"));
}

pub async fn a_dropped_request_times_out(bus: Tested) {
    let mut server = bus.server().await;
    let dropper = tokio::spawn(async move {
        drop(asked(&mut server).await);
        server
    });

    assert_timed_out(&within(bus.request(heartbeat("hello"), SHORT)).await);
    within(dropper).await.expect("the request came");
}

pub async fn an_answer_after_the_time_out_is_no_error(bus: Tested) {
    let mut server = bus.server().await;
    assert_timed_out(&within(bus.request(heartbeat("early"), SHORT)).await);

    // The asker is gone: whether the answer can be sent is the bus's own affair.
    drop(asked(&mut server).await.reply.send(Bytes::from("late")));

    let asker = tokio::spawn(async move { bus.ask("again").await });
    let request = asked(&mut server).await;
    assert_eq!(request.message.payload, "again");
    request.reply.send(Bytes::from("in time")).expect("the asker waits");
    let answer = within(asker).await.expect("the asker ends");
    assert_eq!(answer.expect("the request is answered"), "in time");
}

pub async fn a_request_that_nobody_serves_fails(bus: Tested) {
    let listener = bus.listener().await;

    assert_nobody_serves(&within(bus.request(heartbeat("hello"), super::LIMIT)).await);
    drop(listener);
}

pub async fn one_who_goes_is_asked_no_more(bus: Tested) {
    let going = bus.server().await;
    let staying = bus.echo("staying").await;

    drop(going);

    // Word of it may take a moment; from then on every request is answered.
    let settled = async {
        let mut answered = 0;
        while answered < 20 {
            let answer = bus.request(heartbeat("hello"), Duration::from_secs(1)).await;
            answered = if answer.is_ok() { answered + 1 } else { 0 };
        }
    };
    within(settled).await;
    staying.abort();
}

pub async fn when_the_last_goes_nobody_serves(bus: Tested) {
    let servers = [bus.server().await, bus.server().await];

    drop(servers);

    bus.ask_until(|answer| matches!(answer, Err(Error::NobodyServes(Subject::Heartbeat)))).await;
}

pub async fn one_who_comes_later_is_asked(bus: Tested) {
    let first = bus.echo("first").await;
    bus.ask("hello").await.expect("the request is answered");

    let second = bus.echo("second").await;
    bus.ask_until(|answer| answer.as_ref().is_ok_and(|answer| answer.starts_with("second"))).await;

    first.abort();
    bus.ask_until(|answer| answer.as_ref().is_ok_and(|answer| answer.starts_with("second"))).await;
    second.abort();
    bus.ask_until(|answer| matches!(answer, Err(Error::NobodyServes(_)))).await;
    let third = bus.echo("third").await;
    bus.ask_until(|answer| answer.as_ref().is_ok_and(|answer| answer.starts_with("third"))).await;
    third.abort();
}

fn assert_timed_out(answer: &Result<Bytes, Error>) {
    assert!(
        matches!(answer, Err(Error::Timeout { subject: Subject::Heartbeat, waited }) if *waited == SHORT),
        "{answer:?}"
    );
}

fn assert_nobody_serves(answer: &Result<Bytes, Error>) {
    assert!(matches!(answer, Err(Error::NobodyServes(Subject::Heartbeat))), "{answer:?}");
}
