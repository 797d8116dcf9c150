//! Conversions between wire and domain. What comes from outside is checked here and nowhere else.

use std::time::Duration;

use rollcall_domain::{
    app::{Edition, Limits, Settings},
    code::{Code, Refusal},
    id::{AppId, BootId, DeviceId, Platform, SessionId, UserId},
    policy::LoginPolicy,
    status::{CLEAR_AFTER_MAX, CLEAR_AFTER_MIN, CustomStatus, General, Status, StatusVersion},
    time::Timestamp,
    user::EndReason,
};

use crate::common::v1 as common;

/// The WebSocket subprotocol of JSON frames.
pub const SUBPROTOCOL_JSON: &str = "rollcall.v1.json";
/// The WebSocket subprotocol of protobuf frames.
pub const SUBPROTOCOL_PROTOBUF: &str = "rollcall.v1.protobuf";

/// The greatest number of ids in one read of statuses or versions.
pub const READ_IDS: usize = 500;

/// Reads an app id; 0 is refused with 6017.
pub fn app_id(id: u32) -> Result<AppId, Refusal> {
    AppId::new(id).map_err(|error| Refusal::invalid(&error))
}

/// Reads a user id; a malformed one is refused with 7003.
pub fn user_id(id: &str) -> Result<UserId, Refusal> {
    UserId::new(id).map_err(|error| Refusal::bad_user_id(&error))
}

/// Reads the ids of a read of versions: 1 to [`READ_IDS`] (else 6017), none of them malformed (else 7003).
pub fn read_ids(ids: &[String]) -> Result<Vec<UserId>, Refusal> {
    if !(1..=READ_IDS).contains(&ids.len()) {
        let message = format!("the list holds {} ids, expected 1 to {READ_IDS}", ids.len());
        return Err(Refusal::new(Code::InvalidParameter, message));
    }
    ids.iter().map(|id| user_id(id)).collect()
}

/// Reads a device id; a malformed one is refused with 6017.
pub fn device_id(id: &str) -> Result<DeviceId, Refusal> {
    DeviceId::new(id).map_err(|error| Refusal::invalid(&error))
}

/// Reads a platform by its wire number; an unknown one is refused with 6017.
pub fn platform(number: i32) -> Result<Platform, Refusal> {
    Platform::from_number(number).map_err(|error| Refusal::invalid(&error))
}

/// Reads a custom status; one too long or with a NUL is refused with 6017.
pub fn custom_status(text: &str) -> Result<CustomStatus, Refusal> {
    CustomStatus::new(text).map_err(|error| Refusal::invalid(&error))
}

/// Reads after how many seconds a custom status clears; 0 is never, and what is beyond the greatest is refused with 6017.
pub fn clear_after(seconds: u32) -> Result<Option<Duration>, Refusal> {
    let after = Duration::from_secs(seconds.into());
    if after > CLEAR_AFTER_MAX {
        let (least, most) = (CLEAR_AFTER_MIN.as_secs(), CLEAR_AFTER_MAX.as_secs());
        let message = format!("clear_after_seconds is {seconds}, expected {least} to {most}, or 0 for never");
        return Err(Refusal::new(Code::InvalidParameter, message));
    }
    Ok((after >= CLEAR_AFTER_MIN).then_some(after))
}

/// Reads a session id; an absent one, or one with a zero in it, is refused with 6017.
pub fn session_id(session: Option<&common::SessionId>) -> Result<SessionId, Refusal> {
    match session {
        Some(s) if s.boot != 0 && s.counter != 0 => {
            Ok(SessionId { boot: BootId(s.boot), counter: s.counter })
        }
        _ => Err(Refusal::new(Code::InvalidParameter, "session id is absent or zero, expected both parts")),
    }
}

/// Writes a session id.
pub fn session_to_wire(session: SessionId) -> common::SessionId {
    common::SessionId { boot: session.boot.0, counter: session.counter }
}

/// Reads a moment, µs of the store's clock; 0 is none.
pub fn moment(micros: u64) -> Option<Timestamp> {
    (micros != 0).then_some(Timestamp(micros))
}

/// Reads a general status by its wire number; unknown is `None`.
pub fn general(number: i32) -> Option<General> {
    match common::GeneralStatus::try_from(number).ok()? {
        common::GeneralStatus::Unknown => None,
        common::GeneralStatus::Online => Some(General::Online),
        common::GeneralStatus::Offline => Some(General::Offline),
        common::GeneralStatus::Unlogined => Some(General::Unlogined),
    }
}

/// Writes a user's status.
pub fn status_to_wire(user: &UserId, status: &Status, version: StatusVersion) -> common::UserStatus {
    common::UserStatus {
        user_id: user.as_str().to_owned(),
        general: status.general as i32,
        custom: status.custom.as_str().to_owned(),
        version: version.0,
    }
}

/// Reads a user's status that another service sent.
pub fn status(wire: &common::UserStatus) -> Result<(UserId, Status, StatusVersion), Refusal> {
    let general = general(wire.general)
        .ok_or_else(|| Refusal::new(Code::Internal, "a status without a general status was received"))?;
    let status = Status { general, custom: custom_status(&wire.custom)? };
    Ok((user_id(&wire.user_id)?, status, StatusVersion(wire.version)))
}

/// Writes why an id was not served.
pub fn failure_to_wire(user: String, refusal: Refusal) -> common::UserFailure {
    common::UserFailure { user_id: user, code: refusal.code.number(), message: refusal.message.into_owned() }
}

/// Reads why a session ended; unknown is `None`.
pub fn end_reason(number: i32) -> Option<EndReason> {
    match common::SessionEndReason::try_from(number).ok()? {
        common::SessionEndReason::Unknown => None,
        common::SessionEndReason::Closed => Some(EndReason::Closed),
        common::SessionEndReason::Timeout => Some(EndReason::Timeout),
        common::SessionEndReason::Logout => Some(EndReason::Logout),
        common::SessionEndReason::Kicked => Some(EndReason::Kicked),
        common::SessionEndReason::Replaced => Some(EndReason::Replaced),
        common::SessionEndReason::Moved => Some(EndReason::Moved),
    }
}

/// Reads an edition; unknown is `None`.
pub fn edition(number: i32) -> Option<Edition> {
    match common::Edition::try_from(number).ok()? {
        common::Edition::Unknown => None,
        common::Edition::Standard => Some(Edition::Standard),
        common::Edition::Premium => Some(Edition::Premium),
    }
}

/// Reads a login policy; unknown is `None`.
pub fn login_policy(number: i32) -> Option<LoginPolicy> {
    LoginPolicy::from_number(u32::try_from(number).ok()?)
}

/// Overlays limits with those of the wire that are not 0, and checks the result.
pub fn limits(base: Limits, wire: Option<&common::Limits>) -> Result<Limits, Refusal> {
    let Some(wire) = wire else { return Ok(base) };
    let or = |value: u32, base: u32| if value == 0 { base } else { value };
    let limits = Limits {
        query_ids: or(wire.query_ids, base.query_ids),
        subscribe_ids: or(wire.subscribe_ids, base.subscribe_ids),
        subscriptions: or(wire.subscriptions, base.subscriptions),
        window_calls: or(wire.window_calls, base.window_calls),
        friends: or(wire.friends, base.friends),
    };
    limits.validate()?;
    Ok(limits)
}

/// Writes an app's settings.
pub fn settings_to_wire(app: AppId, settings: &Settings, version: u64) -> common::AppSettings {
    common::AppSettings {
        app_id: app.get(),
        edition: settings.edition as i32,
        status: settings.status,
        limits: Some(common::Limits {
            query_ids: settings.limits.query_ids,
            subscribe_ids: settings.limits.subscribe_ids,
            subscriptions: settings.limits.subscriptions,
            window_calls: settings.limits.window_calls,
            friends: settings.limits.friends,
        }),
        version,
        login_policy: settings.login_policy as i32,
        friend_status: settings.friend_status,
    }
}

/// Reads an app's settings.
pub fn settings(wire: &common::AppSettings) -> Result<Settings, Refusal> {
    Ok(Settings {
        edition: edition(wire.edition)
            .ok_or_else(|| Refusal::new(Code::Internal, "app settings without an edition were received"))?,
        status: wire.status,
        friend_status: wire.friend_status,
        limits: limits(Limits::default(), wire.limits.as_ref())?,
        // Absent where presence is of the release before there was one.
        login_policy: login_policy(wire.login_policy).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // SPEC A1
    #[test]
    fn general_statuses_have_the_wire_numbers_of_the_source() {
        let numbers = [General::Online, General::Offline, General::Unlogined].map(|general| general as i32);
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(common::GeneralStatus::Unknown as i32, 0);
        assert_eq!(general(0), None);
        assert_eq!(
            [1, 2, 3].map(general),
            [Some(General::Online), Some(General::Offline), Some(General::Unlogined)]
        );
    }

    // SPEC B6
    #[test]
    fn a_custom_status_clears_after_1_second_to_30_days_or_never() {
        assert_eq!(clear_after(0), Ok(None));
        for seconds in [1, 2_592_000] {
            assert_eq!(clear_after(seconds), Ok(Some(Duration::from_secs(seconds.into()))));
        }
        for seconds in [2_592_001, u32::MAX] {
            let refusal = clear_after(seconds).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidParameter);
            assert!(refusal.message.contains("1 to 2592000"), "{}", refusal.message);
        }
    }

    #[test]
    fn app_settings_survive_the_wire() {
        let app = AppId::new(7).unwrap();
        let limits = Limits { query_ids: 3, subscribe_ids: 2, subscriptions: 1, window_calls: 4, friends: 5 };
        for login_policy in LoginPolicy::ALL {
            let edition = Edition::Premium;
            let before = Settings { edition, status: true, friend_status: true, limits, login_policy };
            assert_eq!(settings(&settings_to_wire(app, &before, 9)).unwrap(), before);
        }
    }

    // SPEC H4
    #[test]
    fn login_policies_have_the_same_numbers_on_the_wire_and_none_is_single() {
        use common::LoginPolicy::{Dual, Multi, Single, Triple};
        assert_eq!(
            [Single, Dual, Triple, Multi].map(|wire| login_policy(wire as i32)),
            LoginPolicy::ALL.map(Some)
        );
        assert_eq!([0, 5, -1].map(login_policy), [None; 3]);
        let wire = common::AppSettings { edition: 1, ..common::AppSettings::default() };
        assert_eq!(settings(&wire).unwrap().login_policy, LoginPolicy::Single);
    }

    #[test]
    fn a_zero_limit_leaves_the_one_before_and_a_limit_too_great_is_refused() {
        let base = Limits { query_ids: 3, subscribe_ids: 2, subscriptions: 1, window_calls: 4, friends: 5 };
        let wire = common::Limits { subscribe_ids: 50, ..common::Limits::default() };
        assert_eq!(limits(base, Some(&wire)).unwrap(), Limits { subscribe_ids: 50, ..base });
        let wire = common::Limits { query_ids: 501, ..common::Limits::default() };
        assert_eq!(limits(base, Some(&wire)).unwrap_err().code, Code::InvalidParameter);
    }
}
