//! Ids. A value of one of these types is valid: whoever holds it need not check again.

use std::{fmt, str::FromStr};

/// Says what is wrong with an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The id is empty.
    #[error("{what} is empty, expected 1 to {max} bytes")]
    Empty {
        /// The kind of id.
        what: &'static str,
        /// The greatest length in bytes.
        max: usize,
    },
    /// The id is too long.
    #[error("{what} is {length} bytes, at most {max} are allowed")]
    TooLong {
        /// The kind of id.
        what: &'static str,
        /// The length found, in bytes.
        length: usize,
        /// The greatest length in bytes.
        max: usize,
    },
    /// The id holds a byte that is not allowed.
    #[error("{what} has byte 0x{byte:02x} at offset {offset}, allowed are 0x{min:02x} to 0x7e")]
    BadByte {
        /// The kind of id.
        what: &'static str,
        /// The byte found.
        byte: u8,
        /// Where it was found, from 0.
        offset: usize,
        /// The least byte allowed.
        min: u8,
    },
    /// The app id is 0.
    #[error("app id is 0, expected 1 to 4294967295")]
    ZeroApp,
    /// The platform is none of the known ones.
    #[error("platform is not known, expected one of ANDROID, IPHONE, IPAD, WINDOWS, MAC, LINUX, WEB")]
    UnknownPlatform,
}

/// Names an app (tenant); never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(u32);

impl AppId {
    /// Checks that the id is not 0.
    pub fn new(id: u32) -> Result<Self, Error> {
        if id == 0 { Err(Error::ZeroApp) } else { Ok(Self(id)) }
    }

    /// Returns the number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Printable ASCII of at most `MAX` bytes, held in place: copies are cheap and nothing is allocated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text<const MAX: usize> {
    bytes: [u8; MAX],
    length: u8,
}

impl<const MAX: usize> Text<MAX> {
    fn new(what: &'static str, text: &str, min: u8) -> Result<Self, Error> {
        const { assert!(MAX <= u8::MAX as usize) }
        if text.is_empty() {
            return Err(Error::Empty { what, max: MAX });
        }
        if text.len() > MAX {
            return Err(Error::TooLong { what, length: text.len(), max: MAX });
        }
        if let Some((offset, byte)) = text.bytes().enumerate().find(|(_, b)| !(min..=0x7e).contains(b)) {
            return Err(Error::BadByte { what, byte, offset, min });
        }
        let mut bytes = [0; MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX, which fits a byte")]
        Ok(Self { bytes, length: text.len() as u8 })
    }

    fn as_str(&self) -> &str {
        // Never the empty default: the constructor admits nothing but ASCII.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $min:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text<$max>);

        impl $name {
            /// Checks length and bytes.
            pub fn new(id: &str) -> Result<Self, Error> {
                Text::new($what, id, $min).map(Self)
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(id: &str) -> Result<Self, Error> {
                Self::new(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

text_id!(
    /// Names a user within an app: 1 to 32 bytes, each 0x20 to 0x7e.
    UserId, "user id", 32, 0x20
);
text_id!(
    /// Names a device of a user: 1 to 64 bytes, each 0x21 to 0x7e, chosen by the client.
    DeviceId, "device id", 64, 0x21
);

/// Names one run of one gateway: random, never 0, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub u64);

/// Names one login of one device: the gateway's boot and a count of its logins from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// The gateway that holds the connection.
    pub boot: BootId,
    /// Which login of that boot.
    pub counter: u64,
}

/// Numbers the commands of one session by which it changes its user: from 1, in the order in which its client gave
/// them. Some may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Op(pub u64);

impl Op {
    /// The number of a command that has none.
    pub const NONE: Self = Self(0);
}

/// The kind of device that a session runs on. Numbers are those of the wire and of stored records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Platform {
    /// An Android phone or tablet.
    Android = 1,
    /// An iPhone.
    Iphone = 2,
    /// An iPad.
    Ipad = 3,
    /// A Windows computer.
    Windows = 4,
    /// A Mac.
    Mac = 5,
    /// A Linux computer.
    Linux = 6,
    /// A browser.
    Web = 7,
}

impl Platform {
    /// Every platform, in the order of its number.
    pub const ALL: [Self; 7] =
        [Self::Android, Self::Iphone, Self::Ipad, Self::Windows, Self::Mac, Self::Linux, Self::Web];

    /// Finds the platform with this number.
    pub fn from_number(number: i32) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|p| *p as i32 == number).ok_or(Error::UnknownPlatform)
    }

    /// Returns the name as SPEC writes it, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Android => "ANDROID",
            Self::Iphone => "IPHONE",
            Self::Ipad => "IPAD",
            Self::Windows => "WINDOWS",
            Self::Mac => "MAC",
            Self::Linux => "LINUX",
            Self::Web => "WEB",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads a platform's name in any case.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(name)).ok_or(Error::UnknownPlatform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_has_1_to_32_bytes_from_space_to_tilde() {
        for good in ["a", " ", "~", "a.b", "*", ">", "{}", &"x".repeat(32)] {
            assert_eq!(UserId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "\u{7f}", "\n", "\0", "ü", &"x".repeat(33)] {
            UserId::new(bad).unwrap_err();
        }
    }

    #[test]
    fn a_device_id_has_1_to_64_bytes_and_no_space() {
        assert_eq!(DeviceId::new(&"d".repeat(64)).unwrap().as_str().len(), 64);
        for bad in ["", "a b", "é", &"d".repeat(65)] {
            DeviceId::new(bad).unwrap_err();
        }
    }

    #[test]
    fn an_error_names_what_was_found_and_what_was_expected() {
        let error = UserId::new("ab\tc").unwrap_err();
        assert_eq!(error.to_string(), "user id has byte 0x09 at offset 2, allowed are 0x20 to 0x7e");
        let error = DeviceId::new("").unwrap_err();
        assert_eq!(error.to_string(), "device id is empty, expected 1 to 64 bytes");
    }

    #[test]
    fn platforms_are_read_by_number_and_by_name() {
        for platform in Platform::ALL {
            assert_eq!(Platform::from_number(platform as i32), Ok(platform));
            assert_eq!(platform.name().to_lowercase().parse(), Ok(platform));
        }
        assert_eq!(Platform::from_number(0), Err(Error::UnknownPlatform));
        assert_eq!(Platform::from_number(8), Err(Error::UnknownPlatform));
    }
}
