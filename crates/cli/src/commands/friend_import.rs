//! `friend import`: gives many users friends, from a file or standard input (SPEC I1).

mod lines;
mod progress;

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use rollcall_client::Code;
use rollcall_proto::subscription::v1::{
    FriendEdge, FriendResult, ImportFriendsRequest, friend_service_client::FriendServiceClient,
};
use serde::Serialize;
use tokio::time::sleep;

use self::{
    lines::{Line, Lines},
    progress::Progress,
};
use crate::{
    args::{FriendOptions, Output},
    clock,
    failure::{Failure, note},
    output,
};

const EXAMPLES: &str = "\
Examples:
  printf 'alice\\tbob\\nbob\\talice\\n' | rollcallctl friend import --app-id 1 -
  rollcallctl friend import --app-id 1 friends.csv --format comma
  rollcallctl friend list --app-id 1 --user-id alice --output json | rollcallctl friend import --app-id 2 --format json -

Each line is an edge: a user, and the friend of whom the user will hear. The other direction is a line of its own. Empty \
lines are skipped, and nothing else is: there is no header, and no comment.

  tab    user_id<TAB>friend_id. No id holds a tab, so it takes all ids as they are
  comma  user_id,friend_id. For ids without commas, and without blanks at the ends; there are no quotes
  json   {\"user_id\":\"alice\",\"friend_id\":\"bob\"}

Edges go to the server 1000 at a time, and those of one user among them are stored at once: an import is faster if the \
lines of a user stand together. Edges that are refused are told by line, hinder no others, and make the exit code \
1; with `--output json` each is an object with `line`, `code` and `description`. Edges that are there already are no \
error: an import that was interrupted can be run again.";

/// How many lines go to the server in one call: as many as it takes.
const BATCH: usize = 1_000;

/// The pauses before edges are sent again that were not served: 15.5 s together, longer than a store that fails over is
/// away.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// How a line names an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Tab,
    Comma,
    Json,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// File with an edge on each line; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How a line names an edge
    #[arg(long, value_enum, default_value_t = Format::Tab)]
    format: Format,
    #[command(flatten)]
    server: FriendOptions,
}

/// What became of the edges so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Counts {
    edges: u64,
    added: u64,
    known: u64,
    refused: u64,
}

/// An edge that was refused, as JSON.
#[derive(Debug, Serialize)]
struct RefusedLine<'a> {
    line: u64,
    code: u32,
    description: &'a str,
}

/// An edge with the number of its line, from 1.
type Numbered = (u64, FriendEdge);

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (reader, total) = open(&args.file)?;
    let (app_id, output) = (args.server.app_id, args.server.call.output);
    let server = args.server.server();
    let service = FriendServiceClient::new(server.connect().await?);
    let call = async |edges: Vec<FriendEdge>| {
        let message = ImportFriendsRequest { app_id, edges };
        let imported = service.clone().import_friends(server.request(message)?).await;
        Ok(server.outcome("friend import", imported)?.results)
    };
    let mut lines = Lines::new(reader, args.format);
    let mut import =
        Import { output, counts: Counts::default(), progress: Progress::new(total, clock::now()) };
    loop {
        let unreadable = |error: io::Error| unreadable(&args.file, &error);
        let batch: Vec<Line> = lines.by_ref().take(BATCH).collect::<Result<_, _>>().map_err(unreadable)?;
        let Some(first) = batch.first().map(|line| line.number) else { break };
        if let Err(failure) = import.batch(batch, &PAUSES, &call).await {
            import.progress.clear();
            note(&format!(
                "stopped at line {first}; those before it are done, and no error if they come again"
            ));
            return Err(failure);
        }
        import.progress.at(import.counts.edges, clock::now());
    }
    import.finish()
}

/// Opens the file, and counts its lines if it is one that can be read twice.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let open = || {
        let file = File::open(path)?;
        let total = if file.metadata()?.is_file() {
            Some(lines::count(&mut BufReader::new(File::open(path)?))?)
        } else {
            None
        };
        Ok((Box::new(BufReader::new(file)) as Box<dyn BufRead>, total))
    };
    open().map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::File {
        path: path.display().to_string(),
        problem: format!("{error}, expected a file with an edge on each line"),
    }
}

/// An import under way.
struct Import {
    output: Output,
    counts: Counts,
    progress: Progress,
}

impl Import {
    /// Sends the edges of lines, and tells of those that are refused. What was not served, as a whole or in part, is sent
    /// again after each of the pauses: twice is once.
    async fn batch(
        &mut self,
        lines: Vec<Line>,
        pauses: &[Duration],
        call: impl AsyncFn(Vec<FriendEdge>) -> Result<Vec<FriendResult>, Failure>,
    ) -> Result<(), Failure> {
        self.counts.edges += lines.len() as u64;
        let mut waiting = Vec::with_capacity(lines.len());
        for Line { number, edge } in lines {
            match edge {
                Ok(edge) => waiting.push((number, edge)),
                Err(problem) => self.refused(number, wire(Code::InvalidParameter), &problem)?,
            }
        }
        let mut pauses = pauses.iter();
        while !waiting.is_empty() {
            let pause = pauses.next();
            match (call(waiting.iter().map(|(_, edge)| edge.clone()).collect()).await, pause) {
                (Ok(results), pause) => waiting = self.results(waiting, results, pause.is_some())?,
                // A server that answers would have cured it.
                (Err(failure), Some(_)) if failure.exit_code() == 3 => {}
                (Err(failure), _) => return Err(failure),
            }
            if let (Some(pause), false) = (pause, waiting.is_empty()) {
                sleep(*pause).await;
            }
        }
        Ok(())
    }

    /// Takes the results of edges, and returns those that are to be sent again if there is another time.
    fn results(
        &mut self,
        edges: Vec<Numbered>,
        results: Vec<FriendResult>,
        again: bool,
    ) -> Result<Vec<Numbered>, Failure> {
        if results.len() != edges.len() {
            let description = format!("{} results came for {} edges", results.len(), edges.len());
            return Err(Failure::Call { what: "friend import", code: Code::Internal, description });
        }
        let mut waiting = Vec::new();
        for ((number, edge), FriendResult { code, message, added }) in edges.into_iter().zip(results) {
            match code {
                0 if added => self.counts.added += 1,
                0 => self.counts.known += 1,
                code if again && helps_again(code) => waiting.push((number, edge)),
                code => self.refused(number, code, &message)?,
            }
        }
        Ok(waiting)
    }

    fn refused(&mut self, line: u64, code: u32, description: &str) -> Result<(), Failure> {
        self.counts.refused += 1;
        self.progress.clear();
        match self.output {
            Output::Json => output::write(&output::json_line(&RefusedLine { line, code, description })?),
            Output::Table => {
                note(&format!("line {line}: {description} ({code})"));
                Ok(())
            }
        }
    }

    /// Tells what became of all edges.
    fn finish(mut self) -> Result<(), Failure> {
        self.progress.clear();
        let Counts { edges, added, known, refused } = self.counts;
        output::write(&match self.output {
            Output::Json => output::json_line(&self.counts)?,
            Output::Table => {
                let row = |name: &str, count: u64| vec![name.to_owned(), count.to_string()];
                let rows = [
                    row("edges", edges),
                    row("added", added),
                    row("there before", known),
                    row("refused", refused),
                ];
                output::table(&[], rows)
            }
        })?;
        if refused > 0 { Err(Failure::SomeRefused { refused, edges }) } else { Ok(()) }
    }
}

/// Says whether an edge that was answered with this code may be served when it comes again.
fn helps_again(code: u32) -> bool {
    [Code::Timeout, Code::ServerTimeout].map(wire).contains(&code)
}

/// Writes a code as the results of edges do.
fn wire(code: Code) -> u32 {
    code.number().unsigned_abs()
}

#[cfg(test)]
mod tests;
