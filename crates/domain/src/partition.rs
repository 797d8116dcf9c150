//! Which partition a user belongs to: a stable hash, the same in every process and release.

use xxhash_rust::xxh3::Xxh3;

use crate::id::{AppId, UserId};

/// A partition, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

/// How many partitions there are; fixed for the life of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions(u16);

impl Partitions {
    /// The default of the embedded store.
    pub const EMBEDDED: Self = Self(16);

    /// The default of a store on Redis.
    pub const REDIS: Self = Self(256);

    /// Makes a count; `None` for 0.
    pub fn new(count: u16) -> Option<Self> {
        (count > 0).then_some(Self(count))
    }

    /// Returns the count.
    pub fn count(self) -> u16 {
        self.0
    }

    /// Lists all partitions.
    pub fn all(self) -> impl Iterator<Item = Partition> {
        (0..self.0).map(Partition)
    }

    /// Finds the partition of a user, `xxh3(app, user) mod count`; of an app itself when `user` is `None`.
    pub fn of(self, app: AppId, user: Option<&UserId>) -> Partition {
        let mut hash = Xxh3::new();
        hash.update(&app.get().to_be_bytes());
        hash.update(user.map_or(&[], |user| user.as_str().as_bytes()));
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a u16")]
        Partition((hash.digest() % u64::from(self.0)) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_user_is_the_same_in_every_release() {
        let partitions = Partitions::new(256).unwrap();
        let of = |app, user: &str| partitions.of(AppId::new(app).unwrap(), user.parse().ok().as_ref()).0;
        assert_eq!([of(1, "alice"), of(1, "bob"), of(2, "alice"), of(1, "")], [58, 13, 119, 15]);
    }

    #[test]
    fn users_spread_over_all_partitions() {
        let partitions = Partitions::EMBEDDED;
        let app = AppId::new(1).unwrap();
        let mut counts = [0; 16];
        for n in 0..1600 {
            let user = format!("user{n}").parse().unwrap();
            counts[usize::from(partitions.of(app, Some(&user)).0)] += 1;
        }
        assert!(counts.iter().all(|count| (60..=140).contains(count)), "{counts:?}");
    }
}
