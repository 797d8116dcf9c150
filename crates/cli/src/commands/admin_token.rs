//! `admin-token`: a token by which an operator is known to the admin service, and what the server is told of it.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use clap::ValueEnum;
use serde::Serialize;

use crate::{args::Output, clock, failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  rollcallctl admin-token --name deploy --access operate
  rollcallctl admin-token --name anna --access administer --output json

The token is shown this once and kept by who it is for, as ROLLCALL_ADMIN_TOKEN. The line goes into the file that the \
server names as presence.admin_credentials; it is in force 5 seconds later, and so is its removal. To renew a token, add \
a second line of the same name, and remove the first when nobody shows the old token any more.";

/// The greatest length of a name in bytes.
const NAME_MAX: usize = 32;
/// Who calls without a credential, in the audit log.
const LOCAL: &str = "local";

/// What a token allows; each allows what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Access {
    /// To see apps, the names of their keys, and audit logs
    Read,
    /// To change the settings of apps
    Operate,
    /// To create apps, and to add and remove keys
    Administer,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Name in the audit log: 1 to 32 letters, digits or ._@-
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: String,
    /// What the token allows
    #[arg(long, value_enum)]
    access: Access,
    /// How to write the output
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Made {
    token: String,
    line: String,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let made = make(args, clock::random_key());
    output::write(&match args.output {
        Output::Json => output::json_line(&made)?,
        Output::Table => {
            output::table(&[], [vec!["token".to_owned(), made.token], vec!["line".to_owned(), made.line]])
        }
    })
}

fn make(args: &Args, key: [u8; 32]) -> Made {
    let token = digits(&key);
    let access = args.access.to_possible_value();
    let access = access.as_ref().map_or("", |access| access.get_name());
    let line = format!("{} {access} {}", args.name, digits(digest(&SHA256, token.as_bytes()).as_ref()));
    Made { token, line }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn name(text: &str) -> Result<String, String> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    if !(1..=NAME_MAX).contains(&text.len()) || !text.bytes().all(is_known) || text == LOCAL {
        return Err(format!("expected 1 to {NAME_MAX} letters, digits or ._@- and not {LOCAL:?}"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_name_the_access_and_the_hash_of_the_text_of_the_token() {
        let args = Args { name: "anna".to_owned(), access: Access::Operate, output: Output::Json };
        let Made { token, line } = make(&args, [0xab; 32]);
        assert_eq!(token, "ab".repeat(32));
        // As `printf %s TOKEN | sha256sum` says.
        let hash = "271a413bd339c5709fdceaec41f14f11e9fbfb5042d72d331c65f32b284cd09a";
        assert_eq!(line, format!("anna operate {hash}"));
    }
}
