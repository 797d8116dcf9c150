//! Which logins of one user exclude each other (SPEC H4), as a table.

use crate::{app::Edition, id::Platform};

const NATIVE: &[Platform] =
    &[Platform::Android, Platform::Iphone, Platform::Ipad, Platform::Windows, Platform::Mac, Platform::Linux];
const MOBILE: &[Platform] = &[Platform::Android, Platform::Iphone, Platform::Ipad];
const DESKTOP: &[Platform] = &[Platform::Windows, Platform::Mac, Platform::Linux];
const WEB: &[Platform] = &[Platform::Web];

/// How many sessions a user may have, and on what. Numbers are those of the wire and of stored records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum LoginPolicy {
    /// One session in all.
    #[default]
    Single = 1,
    /// One native session and one on the web.
    Dual = 2,
    /// One mobile session, one on the desktop, and one on the web.
    Triple = 3,
    /// One session on each platform; in edition PREMIUM 3 on each native platform, and 10 on the web.
    Multi = 4,
}

/// Platforms whose sessions compete: a login on one of them kicks the oldest beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The platforms; all others are in other groups.
    pub platforms: &'static [Platform],
    /// How many sessions they hold together, at least 1.
    pub limit: usize,
}

impl LoginPolicy {
    /// Every policy, from the strictest.
    pub const ALL: [Self; 4] = [Self::Single, Self::Dual, Self::Triple, Self::Multi];

    /// Finds the policy with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| *policy as u32 == number)
    }

    /// Returns the group that a login on the platform competes in.
    pub fn group(self, edition: Edition, platform: Platform) -> Group {
        let is_web = platform == Platform::Web;
        let (platforms, limit) = match (self, edition) {
            (Self::Single, _) => (Platform::ALL.as_slice(), 1),
            (Self::Dual | Self::Triple, _) if is_web => (WEB, 1),
            (Self::Dual, _) => (NATIVE, 1),
            (Self::Triple, _) if MOBILE.contains(&platform) => (MOBILE, 1),
            (Self::Triple, _) => (DESKTOP, 1),
            (Self::Multi, Edition::Standard) => (alone(platform), 1),
            (Self::Multi, Edition::Premium) if is_web => (WEB, 10),
            (Self::Multi, Edition::Premium) => (alone(platform), 3),
        };
        Group { platforms, limit }
    }
}

impl Group {
    /// Says whether sessions on the platform are in the group.
    pub fn holds(&self, platform: Platform) -> bool {
        self.platforms.contains(&platform)
    }
}

/// Returns the platform as a group of its own.
fn alone(platform: Platform) -> &'static [Platform] {
    const ALL: &[Platform] = &Platform::ALL;
    // Platforms are numbered from 1, in the order of the list.
    let place = platform as usize - 1;
    &ALL[place..=place]
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICIES: [LoginPolicy; 4] = LoginPolicy::ALL;

    /// What SPEC H4 says of two sessions, in other words than the table: may an older one on `older` stay when
    /// somebody logs in on `newer`, and how many of the newer's platform may there be?
    fn spec(policy: LoginPolicy, edition: Edition, older: Platform, newer: Platform) -> (bool, usize) {
        let class = |platform: Platform| match platform.name() {
            "WEB" => "web",
            "ANDROID" | "IPHONE" | "IPAD" => "mobile",
            _ => "desktop",
        };
        let nature = |platform: Platform| class(platform) == "web";
        let compete = match policy {
            LoginPolicy::Single => true,
            LoginPolicy::Dual => nature(older) == nature(newer),
            LoginPolicy::Triple => class(older) == class(newer),
            LoginPolicy::Multi => older.name() == newer.name(),
        };
        let limit = match (policy, edition, class(newer)) {
            (LoginPolicy::Multi, Edition::Premium, "web") => 10,
            (LoginPolicy::Multi, Edition::Premium, _) => 3,
            _ => 1,
        };
        (compete, limit)
    }

    // SPEC H4
    #[test]
    fn every_row_of_the_table_says_what_the_specification_says() {
        let mut rows = 0;
        for policy in POLICIES {
            for edition in [Edition::Standard, Edition::Premium] {
                for newer in Platform::ALL {
                    let group = policy.group(edition, newer);
                    for older in Platform::ALL {
                        let expected = spec(policy, edition, older, newer);
                        assert_eq!(
                            (group.holds(older), group.limit),
                            expected,
                            "{policy:?} {edition:?} {older} {newer}"
                        );
                    }
                    rows += 1;
                }
            }
        }
        assert_eq!(rows, 4 * 2 * 7);
    }

    // SPEC H4
    #[test]
    fn all_platforms_together_hold_as_many_sessions_as_the_policy_allows() {
        let total = |policy: LoginPolicy, edition| {
            let mut groups: Vec<Group> = Vec::new();
            for platform in Platform::ALL {
                let group = policy.group(edition, platform);
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
            groups.iter().map(|group| group.limit).sum::<usize>()
        };
        assert_eq!(POLICIES.map(|policy| total(policy, Edition::Standard)), [1, 2, 3, 7]);
        assert_eq!(POLICIES.map(|policy| total(policy, Edition::Premium)), [1, 2, 3, 28]);
        assert!(total(LoginPolicy::Multi, Edition::Premium) <= crate::user::SESSIONS_MAX);
    }

    #[test]
    fn a_policy_is_found_by_its_number_and_single_is_the_default() {
        for policy in POLICIES {
            assert_eq!(LoginPolicy::from_number(policy as u32), Some(policy));
        }
        assert_eq!([0, 5].map(LoginPolicy::from_number), [None, None]);
        assert_eq!(LoginPolicy::default(), LoginPolicy::Single);
    }
}
