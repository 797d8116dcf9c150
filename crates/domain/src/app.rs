//! An app's configuration, as far as rules depend on it (SPEC G1).

use crate::{
    code::{Code, Refusal},
    id::Platform,
    policy::{Group, LoginPolicy},
};

/// The plan an app runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Edition {
    /// Own status only, and friends' notifications.
    Standard = 1,
    /// Everything.
    Premium = 2,
}

/// Bounds that an operator may lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Ids in one status query.
    pub query_ids: u32,
    /// Ids in one subscribe or unsubscribe.
    pub subscribe_ids: u32,
    /// Subscriptions of one user.
    pub subscriptions: u32,
    /// Queries of others that a user may make in a window; and as many subscribes, and unsubscribes.
    pub window_calls: u32,
    /// Friends of one user.
    pub friends: u32,
}

impl Default for Limits {
    /// The greatest values (SPEC C3, C4, D1, D2, I1).
    fn default() -> Self {
        Self { query_ids: 500, subscribe_ids: 100, subscriptions: 200, window_calls: 20, friends: 3_000 }
    }
}

impl Limits {
    /// Checks that each limit is at least 1 and at most its default.
    pub fn validate(&self) -> Result<(), Refusal> {
        let most = Self::default();
        for (name, value, most) in [
            ("query_ids", self.query_ids, most.query_ids),
            ("subscribe_ids", self.subscribe_ids, most.subscribe_ids),
            ("subscriptions", self.subscriptions, most.subscriptions),
            ("window_calls", self.window_calls, most.window_calls),
            ("friends", self.friends, most.friends),
        ] {
            if !(1..=most).contains(&value) {
                return Err(Refusal::new(
                    Code::InvalidParameter,
                    format!("limit {name} is {value}, expected 1 to {most}"),
                ));
            }
        }
        Ok(())
    }
}

/// What decides whether calls about others are served, and which logins exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The app's edition.
    pub edition: Edition,
    /// The switch "user status query and status change notification".
    pub status: bool,
    /// The switch by which users hear of their friends without a subscription, while `status` is on too.
    pub friend_status: bool,
    /// The app's limits.
    pub limits: Limits,
    /// Which logins of one user exclude each other.
    pub login_policy: LoginPolicy,
}

impl Default for Settings {
    /// What a new app has.
    fn default() -> Self {
        Self {
            edition: Edition::Standard,
            status: false,
            friend_status: false,
            limits: Limits::default(),
            login_policy: LoginPolicy::default(),
        }
    }
}

impl Settings {
    /// Returns the group that a login on the platform competes in, now (SPEC H4).
    pub fn group(&self, platform: Platform) -> Group {
        self.login_policy.group(self.edition, platform)
    }

    /// Says whether users hear of their friends, in whatever edition (SPEC F2, F3).
    pub fn hears_friends(&self) -> bool {
        self.status && self.friend_status
    }

    /// Checks that statuses of others may be asked for and told: edition first, then the switch (SPEC K1).
    pub fn check_others(&self) -> Result<(), Refusal> {
        if self.edition != Edition::Premium {
            return Err(Refusal::new(
                Code::EditionLacksIt,
                "the app's edition is STANDARD, expected PREMIUM",
            ));
        }
        if !self.status {
            return Err(Refusal::new(
                Code::FeatureOff,
                "the app's switch for user status query and notification is off, expected on",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SPEC K1
    #[test]
    fn the_edition_is_checked_before_the_switch() {
        let settings = |edition, status| Settings { edition, status, ..Settings::default() };
        let code = |s: Settings| s.check_others().map_err(|refusal| refusal.code);
        assert_eq!(code(settings(Edition::Standard, false)), Err(Code::EditionLacksIt));
        assert_eq!(code(settings(Edition::Standard, true)), Err(Code::EditionLacksIt));
        assert_eq!(code(settings(Edition::Premium, false)), Err(Code::FeatureOff));
        assert_eq!(code(settings(Edition::Premium, true)), Ok(()));
    }

    // SPEC F2, F3
    #[test]
    fn friends_are_heard_of_in_any_edition_while_both_switches_are_on() {
        for edition in [Edition::Standard, Edition::Premium] {
            for (status, friend_status) in [(false, false), (false, true), (true, false), (true, true)] {
                let settings = Settings { edition, status, friend_status, ..Settings::default() };
                assert_eq!(settings.hears_friends(), status && friend_status, "{settings:?}");
            }
        }
    }

    #[test]
    fn a_limit_is_at_least_1_and_at_most_its_default() {
        Limits::default().validate().unwrap();
        Limits { query_ids: 0, ..Limits::default() }.validate().unwrap_err();
        Limits { subscribe_ids: 101, ..Limits::default() }.validate().unwrap_err();
        Limits { subscriptions: 201, ..Limits::default() }.validate().unwrap_err();
        Limits { window_calls: 21, ..Limits::default() }.validate().unwrap_err();
        Limits { friends: 3_001, ..Limits::default() }.validate().unwrap_err();
    }
}
