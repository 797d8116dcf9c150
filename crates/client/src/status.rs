//! What the SDK tells an app: statuses, and the results of calls.

use std::{fmt, time::Duration};

use rollcall_domain::{
    id::{Platform, UserId},
    status::General as Known,
};
use rollcall_proto::{
    client::v1 as wire,
    common::v1::{self as common},
    convert,
};

use crate::Error;

/// Says whether a user can be reached (SPEC A1). The numbers are those of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum General {
    /// Not known, or of a kind that this version of the SDK does not know.
    #[default]
    Unknown = 0,
    /// At least one device of the user is connected.
    Online = 1,
    /// No device is connected, and the last session on at least one platform ended without logout. Such a user
    /// can in general be reached by offline push.
    Offline = 2,
    /// Never logged in, or logged out everywhere.
    Unlogined = 3,
}

impl General {
    fn from_wire(number: i32) -> Self {
        match convert::general(number) {
            None => Self::Unknown,
            Some(Known::Online) => Self::Online,
            Some(Known::Offline) => Self::Offline,
            Some(Known::Unlogined) => Self::Unlogined,
        }
    }

    /// Returns the name as SPEC writes it, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Online => "ONLINE",
            Self::Offline => "OFFLINE",
            Self::Unlogined => "UNLOGINED",
        }
    }
}

impl fmt::Display for General {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The status of one user at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserStatus {
    /// The user.
    pub user_id: UserId,
    /// Whether the user can be reached.
    pub general: General,
    /// What the user says they are doing, at most 100 bytes; empty means nothing. Another user wrote it: escape
    /// it before it reaches a terminal or a page.
    pub custom: String,
    /// Strictly increases with every change of this user's status; 0 means never changed.
    pub version: u64,
}

impl UserStatus {
    pub(crate) fn from_wire(status: common::UserStatus) -> Result<Self, Error> {
        Ok(Self {
            user_id: user_from_wire(&status.user_id)?,
            general: General::from_wire(status.general),
            custom: status.custom,
            version: status.version,
        })
    }
}

/// What a login found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginInfo {
    /// The user's own status as the login left it.
    pub status: UserStatus,
    /// How many subscriptions are kept from before (SPEC D5); none when they could not be read in time.
    pub subscriptions: Option<u32>,
}

/// What more is known of a user than the status (SPEC A9): the user is told it, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineDetail {
    /// The platforms on which the user has a session, each once; none unless ONLINE.
    pub platforms: Vec<Platform>,
    /// When the user left ONLINE last, by the server's clock, since the Unix epoch; none while ONLINE, and for who never
    /// was.
    pub last_online_at: Option<Duration>,
}

impl OnlineDetail {
    fn from_wire(detail: &common::OnlineDetail) -> Self {
        // A platform that this version does not know is left out.
        let platforms = detail.platforms.iter().filter_map(|number| Platform::from_number(*number).ok());
        let last_online_at =
            (detail.last_online_at != 0).then(|| Duration::from_micros(detail.last_online_at));
        Self { platforms: platforms.collect(), last_online_at }
    }
}

/// The answer to a query of statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserStatuses {
    /// One status for each id that could be read, in order of first mention.
    pub statuses: Vec<UserStatus>,
    /// One entry for each id that could not.
    pub failures: Vec<UserFailure>,
    /// What more is known of the user who asked, where the list had just the own id.
    pub own: Option<OnlineDetail>,
}

impl UserStatuses {
    pub(crate) fn from_wire(result: wire::GetUserStatusResult) -> Result<Self, Error> {
        let failure = |failure: common::UserFailure| UserFailure {
            user_id: failure.user_id,
            error: Error::from_reply(failure.code, failure.message),
        };
        Ok(Self {
            statuses: result.statuses.into_iter().map(UserStatus::from_wire).collect::<Result<_, _>>()?,
            failures: result.failures.into_iter().map(failure).collect(),
            own: result.own.as_ref().map(OnlineDetail::from_wire),
        })
    }
}

/// Says why one id of a list was not served (SPEC C5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFailure {
    /// The id as it was asked for, which may be malformed.
    pub user_id: String,
    /// The code and the description.
    pub error: Error,
}

/// What a subscription displaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscribed {
    /// The least recently subscribed users that the new ones pushed out, earliest first (SPEC D2).
    pub evicted: Vec<UserId>,
}

/// Reads the user ids of a reply.
pub(crate) fn users_from_wire(ids: &[String]) -> Result<Vec<UserId>, Error> {
    ids.iter().map(|id| user_from_wire(id)).collect()
}

fn user_from_wire(id: &str) -> Result<UserId, Error> {
    UserId::new(id).map_err(|error| Error::protocol(format!("the server sent a malformed user id: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    // SPEC A1
    #[test]
    fn a_general_status_that_is_not_known_reads_as_unknown() {
        let read = [0, 1, 2, 3, 4, -1].map(General::from_wire);
        let numbers = read.map(|general| general as u8);
        assert_eq!(numbers, [0, 1, 2, 3, 0, 0]);
        assert_eq!(General::default(), General::Unknown);
    }

    // SPEC A9
    #[test]
    fn a_detail_tells_the_platforms_that_are_known_and_no_time_while_online() {
        let wire = common::OnlineDetail { platforms: vec![2, 99, 7], ..common::OnlineDetail::default() };
        let detail = OnlineDetail::from_wire(&wire);
        assert_eq!((detail.platforms, detail.last_online_at), (vec![Platform::Iphone, Platform::Web], None));
        let wire = common::OnlineDetail { last_online_at: 1_500_000, ..common::OnlineDetail::default() };
        let left = OnlineDetail::from_wire(&wire).last_online_at;
        assert_eq!(left, Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn a_status_of_a_malformed_user_is_an_error_and_not_a_panic() {
        let status = common::UserStatus { user_id: "\n".to_owned(), ..Default::default() };
        assert_eq!(UserStatus::from_wire(status).unwrap_err().code.number(), 70500);
    }
}
