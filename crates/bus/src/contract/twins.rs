//! Two buses given the same commands, for property tests: every reply of one is the reply of the other.

use std::time::Duration;

use super::{
    Tested, heard, heartbeat, status,
    tested::{LIMIT, brought, within},
    trace,
};
use crate::port::{Error, Message, Start, Subscription};

/// How long a request waits. One that is given to someone who is just leaving is asked again.
const PATIENCE: Duration = Duration::from_millis(500);

/// Something done to a bus. Who does not exist is chosen from those who do, by the remainder.
#[derive(Debug, Clone)]
pub enum Command {
    /// Publishes a message about the partition.
    Publish { partition: u16, trace: Option<u64> },
    /// Comes to hear changes.
    Subscribe,
    /// Reads all that it is owed.
    Read { subscriber: usize },
    /// Goes.
    Unsubscribe { subscriber: usize },
    /// Comes to serve reports.
    Serve,
    /// Goes.
    Leave { server: usize },
    /// Sends a report.
    Ask,
    /// Reads what was published last, so many messages or all.
    Replay { back: u64 },
}

/// Plays the commands to both buses, compares what they reply, and at last what is left to be read.
pub async fn agree(one: Tested, other: Tested, commands: &[Command]) {
    let (mut one, mut other) = (Twin::new(one), Twin::new(other));
    for (n, command) in commands.iter().enumerate() {
        assert_eq!(one.play(command, n).await, other.play(command, n).await, "command {n}: {command:?}");
    }
    assert_eq!(one.rest().await, other.rest().await, "what was left");
}

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Done,
    Heard(Vec<Message>),
    Answered(String),
    NobodyServes,
    Replayed { is_cut: bool, before: Vec<Message>, messages: Vec<Message> },
}

struct Twin {
    bus: Tested,
    subscribers: Vec<Subscriber>,
    servers: Vec<tokio::task::JoinHandle<()>>,
    /// How many messages were published.
    published: u64,
}

struct Subscriber {
    subscription: Subscription,
    /// How many messages were published since it came and are not read yet.
    owed: usize,
}

impl Twin {
    fn new(bus: Tested) -> Self {
        Self { bus, subscribers: Vec::new(), servers: Vec::new(), published: 0 }
    }

    async fn play(&mut self, command: &Command, n: usize) -> Reply {
        match *command {
            Command::Publish { partition, trace } => self.publish(partition, trace, n).await,
            Command::Subscribe => {
                self.subscribers.push(Subscriber { subscription: self.bus.listener().await, owed: 0 });
            }
            Command::Read { subscriber } => {
                if let Some(subscriber) = chosen(subscriber, self.subscribers.len()) {
                    return Reply::Heard(self.subscribers[subscriber].read().await);
                }
            }
            Command::Unsubscribe { subscriber } => {
                if let Some(subscriber) = chosen(subscriber, self.subscribers.len()) {
                    self.subscribers.remove(subscriber);
                }
            }
            Command::Serve => self.servers.push(self.bus.echo("served").await),
            Command::Leave { server } => {
                if let Some(server) = chosen(server, self.servers.len()) {
                    let server = self.servers.remove(server);
                    server.abort();
                    assert!(within(server).await.is_err_and(|end| end.is_cancelled()));
                }
            }
            Command::Ask => return within(self.ask(n)).await,
            Command::Replay { back } => return self.replay(back.min(self.published)).await,
        }
        Reply::Done
    }

    async fn publish(&mut self, partition: u16, context: Option<u64>, n: usize) {
        let trace = context.map(trace).unwrap_or_default();
        let message = Message { trace, ..status(partition, n.to_string()) };
        within(self.bus.publish(message)).await.expect("the bus publishes");
        self.published += 1;
        for subscriber in &mut self.subscribers {
            subscriber.owed += 1;
        }
    }

    /// Reads the last messages. What was published on the bus before this run of commands stands before them.
    async fn replay(&self, back: u64) -> Reply {
        let last = self.bus.reader(Start::Now).await.after;
        let mut replay = self.bus.reader(Start::After(last - back)).await;
        let mut messages = Vec::new();
        for position in last - back + 1..=last {
            let kept = brought(&mut replay).await;
            assert_eq!((kept.position, kept.behind), (position, last - position));
            messages.push(kept.message);
        }
        let mine = last - self.published;
        let before = replay.before.iter().filter(|kept| kept.position > mine);
        let mut before: Vec<Message> = before.map(|kept| kept.message.clone()).collect();
        before.sort_by_key(|message| message.subject);
        Reply::Replayed { is_cut: replay.is_cut, before, messages }
    }

    /// Asks until there is an answer or nobody to give one.
    async fn ask(&self, n: usize) -> Reply {
        loop {
            match self.bus.request(heartbeat(n.to_string()), PATIENCE).await {
                Ok(answer) => return Reply::Answered(String::from_utf8_lossy(&answer).into_owned()),
                Err(Error::NobodyServes(_)) => return Reply::NobodyServes,
                Err(Error::Timeout { .. }) => {}
                Err(error) => panic!("expected an answer within {LIMIT:?}, found {error}"),
            }
        }
    }

    /// Reads what all subscribers are owed, and one message more that shows that they were owed nothing else.
    async fn rest(&mut self) -> Vec<Vec<Message>> {
        self.publish(0, None, usize::MAX).await;
        let mut rest = Vec::new();
        for subscriber in &mut self.subscribers {
            rest.push(subscriber.read().await);
        }
        self.servers.iter().for_each(tokio::task::JoinHandle::abort);
        rest
    }
}

impl Subscriber {
    async fn read(&mut self) -> Vec<Message> {
        let mut messages = Vec::with_capacity(self.owed);
        for _ in 0..std::mem::take(&mut self.owed) {
            messages.push(heard(&mut self.subscription).await);
        }
        messages
    }
}

fn chosen(number: usize, count: usize) -> Option<usize> {
    number.checked_rem(count)
}
