//! Numbered close codes of a client's connection: 3000 to 3499 invite to reconnect with back-off, 3500 to 3999 do not.
//! A WebSocket carries the number in its close frame, a gRPC stream in a trailer beside the status.

use tonic::Status;

/// The trailer of a gRPC stream that holds the number of the close code.
pub const CLOSE_CODE: &str = "rollcall-close-code";

/// Why the server closed a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The gateway is stopping.
    GoingAway = 3000,
    /// No login came in time.
    LoginTimeout = 3001,
    /// Nothing was heard of the client for the expiry.
    HeartbeatTimeout = 3002,
    /// The server no longer holds the session; log in again.
    SessionLost = 3003,
    /// The login could not be served; try again.
    TryAgain = 3004,
    /// The client said goodbye by logging out.
    LoggedOut = 3500,
    /// A frame could not be decoded, or was of the wrong kind for the subprotocol.
    MalformedFrame = 3501,
    /// A frame was longer than allowed.
    FrameTooLarge = 3502,
    /// The login was refused.
    LoginRefused = 3503,
    /// A newer login or the app ended the session.
    Kicked = 3504,
    /// The same device logged in again.
    Replaced = 3505,
    /// The token ran out, and no new one was shown in time.
    TokenExpired = 3506,
}

impl CloseCode {
    const ALL: [Self; 12] = [
        Self::GoingAway,
        Self::LoginTimeout,
        Self::HeartbeatTimeout,
        Self::SessionLost,
        Self::TryAgain,
        Self::LoggedOut,
        Self::MalformedFrame,
        Self::FrameTooLarge,
        Self::LoginRefused,
        Self::Kicked,
        Self::Replaced,
        Self::TokenExpired,
    ];

    /// Finds the close code with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// Returns the number in the close frame.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Says whether a client should reconnect, given any close number (its own, or a standard one).
    pub fn invites_reconnect(number: u16) -> bool {
        !(3500..4000).contains(&number)
    }

    /// Returns how a gRPC stream ends: OK after a logout, UNAVAILABLE wherever the client should reconnect. The number
    /// is in its metadata, as [`CLOSE_CODE`].
    pub fn status(self) -> Status {
        let code = match self {
            Self::GoingAway
            | Self::LoginTimeout
            | Self::HeartbeatTimeout
            | Self::SessionLost
            | Self::TryAgain => tonic::Code::Unavailable,
            Self::LoggedOut => tonic::Code::Ok,
            Self::MalformedFrame => tonic::Code::InvalidArgument,
            Self::FrameTooLarge => tonic::Code::ResourceExhausted,
            Self::LoginRefused | Self::TokenExpired => tonic::Code::Unauthenticated,
            Self::Kicked | Self::Replaced => tonic::Code::Aborted,
        };
        let mut status = Status::new(code, self.reason());
        status.metadata_mut().insert(CLOSE_CODE, self.number().into());
        status
    }

    /// Returns the text of the close frame.
    pub fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "the gateway is stopping, reconnect",
            Self::LoginTimeout => "no login in time",
            Self::HeartbeatTimeout => "no heartbeat in time",
            Self::SessionLost => "the session is no longer held, log in again",
            Self::TryAgain => "the login could not be served, try again",
            Self::LoggedOut => "logged out",
            Self::MalformedFrame => "a frame could not be decoded",
            Self::FrameTooLarge => "a frame was longer than allowed",
            Self::LoginRefused => "the login was refused",
            Self::Kicked => "kicked",
            Self::Replaced => "the same device logged in again",
            Self::TokenExpired => "the token has run out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_code_is_found_by_its_number_and_tells_whether_to_reconnect() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number()), Some(code));
            assert_eq!(CloseCode::invites_reconnect(code.number()), code.number() < 3500);
        }
        assert!(CloseCode::invites_reconnect(1006));
    }

    #[test]
    fn a_stream_ends_as_unavailable_where_a_client_should_reconnect_and_tells_the_number() {
        for code in CloseCode::ALL {
            let status = code.status();
            let reconnect = status.code() == tonic::Code::Unavailable;
            assert_eq!(reconnect, CloseCode::invites_reconnect(code.number()), "{code:?}");
            let told = status.metadata().get(CLOSE_CODE).unwrap();
            assert_eq!(told.to_str().unwrap(), code.number().to_string());
            assert_eq!(status.code() == tonic::Code::Ok, code == CloseCode::LoggedOut);
        }
    }
}
