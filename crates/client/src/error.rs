//! How a call fails: a code and a description (SPEC L1).

use std::time::Duration;

use rollcall_domain::code::{Code, Refusal};

/// Says why a call failed.
///
/// The code is one of SPEC K. Those that the SDK itself gives: 6012, the call was not answered in time;
/// 6014, nobody is logged in; 6017, the call cannot be sent as it is; 9508, the connection is gone.
///
/// ```
/// use rollcall_client::{Code, Error};
///
/// let error = Error::new(Code::NotLoggedIn, "nobody is logged in, log in first");
/// assert_eq!(error.to_string(), "nobody is logged in, log in first (6014)");
/// assert_eq!(error.code.number(), 6014);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{description} ({code})")]
pub struct Error {
    /// The code.
    pub code: Code,
    /// What was wrong and what was expected, without full stop.
    pub description: String,
    /// How long it takes until the call may be made again (7008); `None` where waiting does not help, or nobody
    /// knows how long.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// Makes an error.
    pub fn new(code: Code, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None }
    }

    pub(crate) fn not_logged_in() -> Self {
        Self::new(Code::NotLoggedIn, "nobody is logged in, log in first")
    }

    pub(crate) fn disconnected(description: impl Into<String>) -> Self {
        Self::new(Code::Disconnected, description)
    }

    pub(crate) fn invalid(description: impl Into<String>) -> Self {
        Self::new(Code::InvalidParameter, description)
    }

    /// Makes the error of a server that broke the protocol.
    pub(crate) fn protocol(description: impl Into<String>) -> Self {
        Self::new(Code::Internal, description)
    }

    /// Reads what a reply says: its code and message. A code that this SDK does not know becomes 70500.
    pub(crate) fn from_reply(code: i32, message: String) -> Self {
        match Code::from_number(code) {
            Some(code) => Self::new(code, message),
            None => Self::protocol(format!("{message} (code {code}, which this client does not know)")),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self { retry_after: refusal.retry_after, ..Self::new(refusal.code, refusal.message) }
    }
}
