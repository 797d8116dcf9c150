//! `events`: every change, as internal services follow them (SPEC J4).

mod lines;

use std::time::Duration;

use clap::ValueEnum;
use rollcall_proto::event::v1::{
    ChangeKind, FollowRequest, FollowResponse, event_service_client::EventServiceClient,
    follow_request::Start, follow_response::Told,
};
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status, Streaming};

use crate::{
    args::FeedOptions,
    clock,
    failure::{Failure, note},
    output,
    session::Stop,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl events --app-id 1
  rollcallctl events --since 1h --kind status --output json | jq -r .user_id
  rollcallctl events --after 0 --count 10 --for 5s        # the ten oldest that are kept

Each change has a position; `--after` goes on behind it. Changes come in the order of their commits for each user, \
and at least once. With `--output json` each is one line:
  {\"position\":7,\"at\":\"2026-01-02T03:04:05.678Z\",\"kind\":\"STATUS\",\"app_id\":1,\"user_id\":\"alice\",\
\"record_version\":1700000000000000,\"general\":\"ONLINE\",\"custom\":\"at lunch\",\"version\":1700000000000000,\
\"previous_version\":1600000000000000,\"sessions\":[\"1f.1\"],\"ended\":[]}
  {\"position\":9,\"gap\":\"NOT_HEARD\",\"partition\":3,\"first\":17,\"last\":18}";

/// The pause before the server is tried again that was lost.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// App whose changes to show [default: all apps]
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    app_id: Option<u32>,
    /// Begin so long ago, by this machine's clock, with what is kept [default: with what comes]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION", conflicts_with = "after")]
    since: Option<Duration>,
    /// Begin behind this position; 0 for the oldest that is kept
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Kinds of changes to show [default: all]
    #[arg(long = "kind", value_enum, value_delimiter = ',', value_name = "KIND")]
    kinds: Vec<Kind>,
    /// End after this many changes
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time; with --count, having seen fewer changes is a failure then
    #[arg(long = "for", value_parser = humantime::parse_duration, value_name = "DURATION")]
    time: Option<Duration>,
    #[command(flatten)]
    feed: FeedOptions,
}

/// What of a user has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The status: it has a new version
    Status,
    /// The sessions only
    Sessions,
    /// The subscription list
    List,
    /// The friends
    Friends,
}

impl From<Kind> for ChangeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Status => Self::Status,
            Kind::Sessions => Self::Sessions,
            Kind::List => Self::List,
            Kind::Friends => Self::Friends,
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    let mut shown = Shown { left: args.count, position: None, has_header: false };
    let time_is_over = async {
        match args.time {
            Some(time) => sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = follow(&args, &mut shown) => Some(ended),
        () = time_is_over => None,
        () = stop.wait() => Some(Ok(())),
    };
    match (ended, args.count, shown.left) {
        (Some(ended), ..) => ended,
        (None, Some(count), Some(left)) => {
            let seen = count - left;
            Err(Failure::TimeRanOut(format!("time ran out with {seen} of {count} changes seen")))
        }
        (None, ..) => Ok(()),
    }
}

/// How far it has come.
struct Shown {
    /// How many more changes to show; none means no end.
    left: Option<u64>,
    /// Where to go on.
    position: Option<u64>,
    has_header: bool,
}

/// Shows what comes, until that was all; a server that is lost is followed again from where it stopped.
async fn follow(args: &Args, shown: &mut Shown) -> Result<(), Failure> {
    loop {
        let ended = match begin(args, shown.position).await {
            Ok(mut stream) => match read(args, shown, &mut stream).await? {
                Some(lost) => lost,
                None => return Ok(()),
            },
            Err(failure) if shown.position.is_none() || failure.exit_code() != 3 => return Err(failure),
            Err(failure) => failure.to_string(),
        };
        note(&format!("the feed was lost: {ended}; trying again"));
        sleep(PAUSE).await;
    }
}

async fn begin(args: &Args, position: Option<u64>) -> Result<Streaming<FollowResponse>, Failure> {
    let server = args.feed.server();
    let since = args.since.map(|ago| {
        let micros = clock::now().saturating_sub(ago).as_micros();
        Start::Since(u64::try_from(micros).unwrap_or(u64::MAX))
    });
    let start = position.or(args.after).map(Start::After).or(since);
    let kinds = args.kinds.iter().map(|kind| ChangeKind::from(*kind).into()).collect();
    let message = FollowRequest { app_id: args.app_id.unwrap_or(0), start, kinds };
    let mut service = EventServiceClient::new(server.connect().await?);
    // No deadline: it would be that of the whole stream.
    let called = timeout(args.feed.call.timeout, service.follow(Request::new(message))).await;
    let called = called.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
    server.outcome("events", called)
}

/// Shows what a stream brings. Returns why it was lost; `None` if what came was all that was asked for.
async fn read(
    args: &Args,
    shown: &mut Shown,
    stream: &mut Streaming<FollowResponse>,
) -> Result<Option<String>, Failure> {
    loop {
        match stream.message().await {
            Ok(Some(FollowResponse { position, told })) => {
                if shown.position.is_none() {
                    note(&format!("following the changes after position {position}; Ctrl-C ends it"));
                }
                shown.position = Some(position);
                if let Some(told) = told {
                    show(args, shown, position, &told)?;
                }
                if shown.left == Some(0) {
                    return Ok(None);
                }
            }
            Ok(None) => return Ok(Some("the server ended the stream".to_owned())),
            Err(status) if status.code() == Code::InvalidArgument => {
                return args.feed.server().outcome("events", Err(status));
            }
            Err(status) => return Ok(Some(status.message().to_owned())),
        }
    }
}

fn show(args: &Args, shown: &mut Shown, position: u64, told: &Told) -> Result<(), Failure> {
    if matches!(told, Told::Event(_)) {
        shown.left = shown.left.map(|left| left.saturating_sub(1));
    }
    let lines = lines::of(args.feed.call.output, position, told, !shown.has_header)?;
    shown.has_header = true;
    output::write(&lines)
}
