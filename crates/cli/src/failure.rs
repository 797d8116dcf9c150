//! How a command fails: one line that says what was wrong, what was expected and what to do, and an exit code.

use std::io::{self, Write as _};

use rollcall_client::{Code, Error};
use rollcall_domain::code::Refusal;

use crate::escape;

/// Says why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A call was refused or not answered.
    #[error("{what} failed: {description} ({code}){}", hint(*.code))]
    Call {
        /// What was tried.
        what: &'static str,
        /// The code of SPEC K.
        code: Code,
        /// What was wrong and what was expected.
        description: String,
    },
    /// A server for operators cannot be reached.
    #[error("{address} cannot be reached: {reason}; start the server, or name another with {option}")]
    Unreachable {
        /// The address tried.
        address: String,
        /// The option that names another.
        option: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// Some ids of a query were not served; each was reported.
    #[error("{failed} of {asked} ids could not be read")]
    SomeFailed {
        /// How many were not served.
        failed: usize,
        /// How many were answered, with a status or a failure.
        asked: usize,
    },
    /// Some edges of an import were refused; each was reported.
    #[error("{refused} of {edges} edges were refused")]
    SomeRefused {
        /// How many were refused.
        refused: u64,
        /// How many there were.
        edges: u64,
    },
    /// A time ran out before what was waited for.
    #[error("{0}")]
    TimeRanOut(String),
    /// An option is wrong in a way that the parser cannot tell.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read, written, or used.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A certificate cannot be made.
    #[error("the certificate cannot be made: {0}")]
    Certificate(String),
    /// The token cannot be made.
    #[error("the token cannot be made: {0}")]
    Token(String),
    /// A signal ended the command before its work was done.
    #[error("interrupted before the work was done")]
    Interrupted,
    /// Standard output cannot be written.
    #[error("standard output cannot be written: {0}")]
    Output(#[source] io::Error),
    /// The operating system refused what every command needs.
    #[error("the operating system refused a thread or a signal handler: {0}")]
    System(#[source] io::Error),
}

impl Failure {
    /// Makes the failure of a call of the SDK.
    pub(crate) fn call(what: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self::Call { what, code: error.code, description: error.description }
    }

    /// Makes the failure of a call of a service for operators.
    pub(crate) fn refused(what: &'static str) -> impl FnOnce(Refusal) -> Self {
        move |refusal| Self::Call { what, code: refusal.code, description: refusal.message.into_owned() }
    }

    /// Returns the exit code: 2 for wrong usage, 3 for what a server that answers would have cured, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Call { code: Code::Disconnected | Code::Timeout | Code::ServerTimeout, .. }
            | Self::Unreachable { .. }
            | Self::TimeRanOut(_) => 3,
            _ => 1,
        }
    }

    /// Writes the failure to standard error, on one line.
    pub fn report(&self) {
        note(&self.to_string());
    }
}

/// Writes a line to standard error. It may hold what others wrote, so it is escaped.
pub(crate) fn note(line: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "rollcallctl: {}", escape::line(line));
}

/// Says what to do about a code.
fn hint(code: Code) -> &'static str {
    match code {
        Code::Disconnected | Code::Timeout => "; start the server, or name another with --url",
        Code::EditionLacksIt => "; change it with `rollcallctl app set --edition premium`",
        Code::FeatureOff => "; turn it on with `rollcallctl app set --status on`",
        Code::AppUnknown => "; create it with `rollcallctl app create`",
        Code::TokenExpired | Code::SessionTokenExpired | Code::TokenRevoked => {
            "; make a new token with `rollcallctl token`"
        }
        Code::BadToken | Code::UserMismatch | Code::AppMismatch => {
            "; make a token with `rollcallctl token` for this app and user, with the key of `app create`"
        }
        Code::ServerTimeout | Code::RateLimit => "; try again",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: Code) -> Failure {
        Failure::call("login")(Error::new(code, "what was wrong"))
    }

    #[test]
    fn a_failure_says_what_was_wrong_and_what_to_do_on_one_line() {
        assert_eq!(
            failure(Code::FeatureOff).to_string(),
            "login failed: what was wrong (72001); turn it on with `rollcallctl app set --status on`"
        );
        assert_eq!(failure(Code::Internal).to_string(), "login failed: what was wrong (70500)");
    }

    #[test]
    fn a_server_that_is_not_there_is_told_from_one_that_refuses() {
        for code in [Code::Disconnected, Code::Timeout, Code::ServerTimeout] {
            assert_eq!(failure(code).exit_code(), 3);
        }
        for code in [Code::BadToken, Code::FeatureOff, Code::InvalidParameter, Code::Internal] {
            assert_eq!(failure(code).exit_code(), 1);
        }
    }
}
