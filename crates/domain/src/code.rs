//! The closed set of codes that a caller can meet (SPEC K), and the one table that maps them.

use std::{borrow::Cow, fmt, time::Duration};

/// A canonical gRPC status code, by its number in the gRPC specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Grpc {
    /// Success.
    Ok = 0,
    /// The request is wrong whatever the state of the system.
    InvalidArgument = 3,
    /// No answer in time.
    DeadlineExceeded = 4,
    /// The thing named does not exist.
    NotFound = 5,
    /// The thing to create exists.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A limit is reached.
    ResourceExhausted = 8,
    /// The state of the system does not allow it.
    FailedPrecondition = 9,
    /// The caller was overtaken.
    Aborted = 10,
    /// Something is broken.
    Internal = 13,
    /// The service cannot be reached; trying again helps.
    Unavailable = 14,
    /// The caller is not known.
    Unauthenticated = 16,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $grpc:ident, $http:literal;)*) => {
        /// What a caller is told. The number is the one on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name = $number,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the number that clients see.
            pub fn number(self) -> i32 {
                self as i32
            }

            /// Returns the number as text, for the labels of metrics.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => stringify!($number),)* }
            }

            /// Returns the gRPC code that goes with it.
            pub fn grpc(self) -> Grpc {
                match self { $(Self::$name => Grpc::$grpc,)* }
            }

            /// Returns the HTTP status that goes with it.
            pub fn http(self) -> u16 {
                match self { $(Self::$name => $http,)* }
            }
        }
    };
}

codes! {
    /// Success.
    Ok = 0, Ok, 200;
    /// No id of a batch could be served.
    BatchFailed = 6003, InvalidArgument, 400;
    /// The call was not answered in time; it takes no effect later.
    Timeout = 6012, DeadlineExceeded, 504;
    /// The call needs a login.
    NotLoggedIn = 6014, Unauthenticated, 401;
    /// An argument is wrong.
    InvalidParameter = 6017, InvalidArgument, 400;
    /// The token of the session has run out.
    SessionTokenExpired = 6206, Unauthenticated, 401;
    /// A newer login or the app ended the session.
    Kicked = 6208, Aborted, 409;
    /// A user id is malformed.
    BadUserId = 7003, InvalidArgument, 400;
    /// Too many calls.
    RateLimit = 7008, ResourceExhausted, 429;
    /// The app's edition lacks the feature.
    EditionLacksIt = 7013, FailedPrecondition, 403;
    /// The connection is gone.
    Disconnected = 9508, Unavailable, 503;
    /// The token ran out before the login.
    TokenExpired = 70001, Unauthenticated, 401;
    /// The token is malformed, or signed with another key or algorithm.
    BadToken = 70003, Unauthenticated, 401;
    /// The token was issued for another user.
    UserMismatch = 70013, Unauthenticated, 401;
    /// The token was issued for another app.
    AppMismatch = 70014, Unauthenticated, 401;
    /// The app is not known.
    AppUnknown = 70020, NotFound, 404;
    /// The token was revoked.
    TokenRevoked = 70052, Unauthenticated, 401;
    /// The account never logged in (REST).
    NoSuchAccount = 70107, NotFound, 404;
    /// A service behind the gateway did not answer in time.
    ServerTimeout = 70169, Unavailable, 503;
    /// A parameter is wrong (REST).
    BadParameter = 70402, InvalidArgument, 400;
    /// Something is broken on the server.
    Internal = 70500, Internal, 500;
    /// The app's switch for the feature is off.
    FeatureOff = 72001, FailedPrecondition, 403;
}

impl Code {
    /// Finds the code with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// A call that is refused: the code, and what was wrong and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// The message, without full stop; never another user's data.
    pub message: Cow<'static, str>,
    /// How long it takes until the call may be served; `None` where waiting does not help, or nobody knows.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Makes a refusal.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// Makes the refusal of a wrong argument (6017).
    pub fn invalid(error: &impl fmt::Display) -> Self {
        Self::new(Code::InvalidParameter, error.to_string())
    }

    /// Makes the refusal of a malformed user id (7003).
    pub fn bad_user_id(error: &crate::id::Error) -> Self {
        Self::new(Code::BadUserId, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SPEC K
    #[test]
    fn every_code_has_its_own_number_and_is_found_by_it() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
        }
        assert_eq!(Code::from_number(1), None);
    }

    #[test]
    fn only_ok_maps_to_success() {
        for code in Code::ALL {
            assert_eq!(*code == Code::Ok, code.grpc() == Grpc::Ok, "{code:?}");
            assert_eq!(*code == Code::Ok, code.http() == 200, "{code:?}");
        }
    }
}
