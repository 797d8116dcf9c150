//! Each fault, between a real client and a real server. Lower bounds of times are asserted, upper ones never.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::{Direction, Fault, Proxy};

/// How long anything that ought to happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long silence is listened to. A slow machine may miss a fault by it, but never fails for being slow.
const QUIET: Duration = Duration::from_millis(200);

/// A proxy, and both ends of a connection through it.
struct Link {
    proxy: Proxy,
    server: TcpListener,
    near: TcpStream,
    far: TcpStream,
}

impl Link {
    async fn start() -> Self {
        let server = bound().await;
        let proxy = Proxy::start(&server.local_addr().unwrap().to_string());
        let (near, far) = connect(&proxy, &server).await;
        Self { proxy, server, near, far }
    }
}

/// Connects through the proxy, and shows by a byte each way that it serves.
async fn connect(proxy: &Proxy, server: &TcpListener) -> (TcpStream, TcpStream) {
    let mut near = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut far, _) = within(server.accept()).await.unwrap();
    pass(&mut near, &mut far, "<").await;
    pass(&mut far, &mut near, ">").await;
    (near, far)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens within the limit")
}

async fn say(from: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).await.unwrap();
}

async fn hears(to: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    within(to.read_exact(&mut heard)).await.unwrap();
    assert_eq!(str::from_utf8(&heard).unwrap(), text);
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, text: &str) {
    say(from, text).await;
    hears(to, text).await;
}

/// Returns how a stream goes on: bytes, 0 at its end, or an error.
async fn next(of: &mut TcpStream) -> io::Result<usize> {
    within(of.read(&mut [0; 16])).await
}

async fn is_reset(of: &mut TcpStream) {
    assert_eq!(next(of).await.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
}

/// Checks that a stream tells nothing for a while: no bytes, and no end.
async fn is_quiet(of: &mut TcpStream) {
    let heard = timeout(QUIET, of.read(&mut [0; 16])).await;
    assert!(heard.is_err(), "expected nothing, heard {heard:?}");
}

#[tokio::test]
async fn bytes_pass_both_ways_and_each_end_closes_for_itself() {
    let Link { proxy, mut near, mut far, .. } = Link::start().await;
    pass(&mut near, &mut far, "hello").await;

    near.shutdown().await.unwrap();
    assert_eq!(next(&mut far).await.unwrap(), 0);
    pass(&mut far, &mut near, "one who has closed still hears").await;
    far.shutdown().await.unwrap();
    assert_eq!(next(&mut near).await.unwrap(), 0);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_reset_of_one_end_is_a_reset_at_the_other() {
    let Link { proxy, server, near, mut far } = Link::start().await;
    near.set_zero_linger().unwrap();
    drop(near);
    is_reset(&mut far).await;

    let (mut near, far) = connect(&proxy, &server).await;
    far.set_zero_linger().unwrap();
    drop(far);
    is_reset(&mut near).await;
}

#[tokio::test]
async fn what_is_held_passes_in_order_when_it_is_released() {
    let Link { proxy, mut near, mut far, .. } = Link::start().await;

    proxy.set(Direction::Both, Fault::Hold);
    for number in 0..10 {
        say(&mut near, &number.to_string()).await;
        say(&mut far, &number.to_string()).await;
    }
    is_quiet(&mut far).await;
    is_quiet(&mut near).await;

    proxy.set(Direction::Up, Fault::Nothing);
    hears(&mut far, "0123456789").await;
    is_quiet(&mut near).await;
    proxy.set(Direction::Both, Fault::Nothing);
    hears(&mut near, "0123456789").await;
    pass(&mut near, &mut far, "on").await;
}

#[tokio::test]
async fn an_end_is_held_like_the_bytes_before_it() {
    let Link { proxy, server, mut near, mut far } = Link::start().await;
    proxy.set(Direction::Up, Fault::Hold);
    say(&mut near, "last").await;
    drop(near);
    is_quiet(&mut far).await;
    proxy.set(Direction::Up, Fault::Nothing);
    hears(&mut far, "last").await;
    assert_eq!(next(&mut far).await.unwrap(), 0);

    let (near, mut far) = connect(&proxy, &server).await;
    proxy.set(Direction::Up, Fault::Hold);
    near.set_zero_linger().unwrap();
    drop(near);
    is_quiet(&mut far).await;
    proxy.set(Direction::Up, Fault::Nothing);
    is_reset(&mut far).await;
}

#[tokio::test]
async fn whoever_sends_more_than_is_held_has_to_wait_and_loses_nothing() {
    const TOTAL: usize = 64 * 1024 * 1024;
    let Link { proxy, mut near, mut far, .. } = Link::start().await;

    proxy.set(Direction::Up, Fault::Hold);
    let taken = Arc::new(AtomicUsize::new(0));
    let sender = tokio::spawn({
        let taken = Arc::clone(&taken);
        async move {
            for number in 0..TOTAL / 1024 {
                near.write_all(&[number.to_be_bytes()[7]; 1024]).await.unwrap();
                taken.fetch_add(1024, Ordering::SeqCst);
            }
            near
        }
    });
    within(async {
        let mut before = 0;
        while before == 0 || before < taken.load(Ordering::SeqCst) {
            before = taken.load(Ordering::SeqCst);
            sleep(QUIET).await;
        }
    })
    .await;
    assert!(!sender.is_finished(), "{TOTAL} bytes were taken in");

    proxy.set(Direction::Up, Fault::Nothing);
    let mut heard = vec![0; TOTAL];
    within(far.read_exact(&mut heard)).await.unwrap();
    let in_order = heard.chunks(1024).enumerate();
    assert!(in_order.into_iter().all(|(number, chunk)| chunk == [number.to_be_bytes()[7]; 1024]));
    drop(sender.await.unwrap());
    assert_eq!(next(&mut far).await.unwrap(), 0);
}

#[tokio::test]
async fn each_chunk_is_delayed_for_itself() {
    const CHUNKS: usize = 100;
    let delay = Duration::from_secs(1);
    let Link { proxy, mut near, mut far, .. } = Link::start().await;
    proxy.set(Direction::Up, Fault::Delay(delay));

    let hearing = tokio::spawn(async move {
        let mut heard = Vec::new();
        for number in 0..CHUNKS {
            // One after the other these would take longer than is waited for.
            hears(&mut far, &format!("{number:03}")).await;
            heard.push(Instant::now());
        }
        (heard, next(&mut far).await.unwrap(), Instant::now())
    });
    let mut said = Vec::new();
    for number in 0..CHUNKS {
        said.push(Instant::now());
        say(&mut near, &format!("{number:03}")).await;
        sleep(Duration::from_millis(2)).await;
    }
    let closed = Instant::now();
    near.shutdown().await.unwrap();

    let (heard, end, ended) = within(hearing).await.unwrap();
    for (said, heard) in said.iter().zip(&heard) {
        assert!(*heard - *said >= delay, "after {:?}", *heard - *said);
    }
    assert_eq!(end, 0);
    assert!(ended - closed >= delay, "the end after {:?}", ended - closed);
}

#[tokio::test]
async fn what_is_dropped_one_way_is_gone_while_the_other_way_flows() {
    let Link { proxy, mut near, mut far, .. } = Link::start().await;

    proxy.set(Direction::Up, Fault::Drop);
    say(&mut near, "lost").await;
    pass(&mut far, &mut near, "heard").await;
    is_quiet(&mut far).await;
    proxy.set(Direction::Up, Fault::Nothing);
    pass(&mut near, &mut far, "heard too").await;
}

#[tokio::test]
async fn an_end_that_is_dropped_is_heard_when_the_fault_has_gone() {
    let Link { proxy, near, mut far, .. } = Link::start().await;
    proxy.set(Direction::Both, Fault::Drop);
    drop(near);
    is_quiet(&mut far).await;
    proxy.set(Direction::Both, Fault::Nothing);
    assert_eq!(next(&mut far).await.unwrap(), 0);
}

#[tokio::test]
async fn one_who_comes_while_all_is_dropped_is_let_in_and_never_answered() {
    let Link { proxy, server, .. } = Link::start().await;
    proxy.set(Direction::Both, Fault::Drop);
    let mut near = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut near, "hello?").await;
    let (mut far, _) = within(server.accept()).await.unwrap();
    say(&mut far, "welcome").await;
    is_quiet(&mut far).await;
    is_quiet(&mut near).await;
}

#[tokio::test]
async fn a_half_open_connection_stays_so_and_new_ones_are_served() {
    let Link { proxy, server, mut near, mut far } = Link::start().await;

    proxy.vanish();
    say(&mut near, "lost").await;
    say(&mut far, "lost too").await;
    is_quiet(&mut far).await;
    is_quiet(&mut near).await;
    connect(&proxy, &server).await;
    proxy.set(Direction::Both, Fault::Nothing);
    drop(far);
    is_quiet(&mut near).await;
}

#[tokio::test]
async fn a_cut_ends_what_is_open_with_a_fin_and_new_ones_are_served() {
    let Link { proxy, server, mut near, mut far } = Link::start().await;
    proxy.cut();
    assert_eq!(next(&mut near).await.unwrap(), 0);
    assert_eq!(next(&mut far).await.unwrap(), 0);
    connect(&proxy, &server).await;
}

#[tokio::test]
async fn a_reset_reaches_both_ends_also_while_all_is_held() {
    let Link { proxy, server, mut near, mut far } = Link::start().await;
    proxy.set(Direction::Both, Fault::Hold);
    proxy.reset();
    is_reset(&mut near).await;
    is_reset(&mut far).await;
    proxy.set(Direction::Both, Fault::Nothing);
    connect(&proxy, &server).await;
}

#[tokio::test]
async fn while_it_is_down_everybody_is_refused() {
    let Link { proxy, server, mut near, mut far } = Link::start().await;

    proxy.down();
    assert_eq!(next(&mut near).await.unwrap(), 0);
    assert_eq!(next(&mut far).await.unwrap(), 0);
    match TcpStream::connect(proxy.address()).await {
        Ok(mut refused) => is_reset(&mut refused).await,
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    assert_eq!(proxy.connections(), 2);
    proxy.up();

    connect(&proxy, &server).await;
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test]
async fn a_drip_passes_so_many_bytes_and_then_none_for_so_long() {
    let pause = Duration::from_millis(50);
    let Link { proxy, mut near, mut far, .. } = Link::start().await;

    proxy.set(Direction::Down, Fault::Drip(2, pause));
    let said = Instant::now();
    say(&mut far, "0123456789").await;
    hears(&mut near, "0123456789").await;
    assert!(said.elapsed() >= 4 * pause, "after {:?}", said.elapsed());

    proxy.set(Direction::Down, Fault::Drip(1, Duration::from_hours(1)));
    say(&mut far, "abc").await;
    hears(&mut near, "a").await;
    is_quiet(&mut near).await;
    proxy.set(Direction::Down, Fault::Nothing);
    hears(&mut near, "bc").await;
}

#[tokio::test]
async fn connections_go_to_each_target_in_turn_past_those_that_are_away() {
    let servers = [bound().await, bound().await, bound().await];
    let targets: Vec<String> =
        servers.iter().map(|server| server.local_addr().unwrap().to_string()).collect();
    let proxy = Proxy::over(&targets);
    let [first, second, third] = servers;
    drop(second);

    connect(&proxy, &first).await;
    connect(&proxy, &third).await;
    connect(&proxy, &third).await;
    connect(&proxy, &first).await;
    for target in &targets {
        assert_eq!(proxy.through(&format!("x://u@{target}/p")), format!("x://u@{}/p", proxy.address()));
    }
}

#[tokio::test]
async fn it_knows_when_something_was_last_passed_on_to_the_target() {
    let Link { proxy, mut near, mut far, .. } = Link::start().await;
    let before = Instant::now();
    pass(&mut near, &mut far, "up").await;
    let last = proxy.last_said();
    assert!(before <= last && last <= Instant::now());

    pass(&mut far, &mut near, "down").await;
    proxy.set(Direction::Up, Fault::Hold);
    say(&mut near, "held").await;
    is_quiet(&mut far).await;
    assert_eq!(proxy.last_said(), last);
}

#[tokio::test]
async fn everything_ends_with_it() {
    let Link { proxy, mut near, mut far, .. } = Link::start().await;
    let address = proxy.address().to_owned();
    proxy.set(Direction::Both, Fault::Drop);

    drop(proxy);

    assert_eq!(next(&mut near).await.unwrap(), 0);
    assert_eq!(next(&mut far).await.unwrap(), 0);
    within(async { while TcpStream::connect(&address).await.is_ok() {} }).await;
}

async fn bound() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}
