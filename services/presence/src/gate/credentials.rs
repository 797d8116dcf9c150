//! The file of credentials: a line for each, `name access hash`, where the hash is the SHA-256 of the token in hexadecimal
//! digits. Lines that are empty or begin with `#` say nothing.
//!
//! A token has 256 bits of chance, as `rollcallctl admin-token` makes it: so a plain hash of it tells nothing.

use std::fmt;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
};

use super::Access;

/// The greatest number of credentials: each call is compared with all of them, at some 50 ns each.
const CREDENTIALS_MAX: usize = 256;
/// The greatest length of the file in bytes: that number of lines, and as many of comments.
pub(super) const FILE_MAX: u64 = 64 * 1_024;
/// The greatest length of a name in bytes.
const NAME_MAX: usize = 32;

/// Who calls in clear text without a credential; no credential has this name.
pub(super) const LOCAL: &str = "local";

/// One credential. Its token is not known.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) name: String,
    pub(super) access: Access,
    hash: [u8; SHA256_OUTPUT_LEN],
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, access, .. } = self;
        f.debug_struct("Credential").field("name", name).field("access", access).finish_non_exhaustive()
    }
}

/// The credentials of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Credentials(Vec<Credential>);

impl Credentials {
    /// Reads the text of a file. All faults are told, with their lines; never what could be a token.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() as u64 > FILE_MAX {
            return Err(format!("it is longer than the {FILE_MAX} bytes that are allowed"));
        }
        let (mut read, mut faults) = (Self::default(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.first().is_none_or(|first| first.starts_with('#')) {
                continue;
            }
            match credential(&words) {
                Ok(one) if read.0.iter().any(|other| other.hash == one.hash) => {
                    faults.push(format!(
                        "line {number}: the hash is that of another line, expected one of its own"
                    ));
                }
                Ok(one) => read.0.push(one),
                Err(fault) => faults.push(format!("line {number}: {fault}")),
            }
        }
        if read.0.len() > CREDENTIALS_MAX {
            faults.push(format!("{} credentials, expected at most {CREDENTIALS_MAX}", read.0.len()));
        }
        if faults.is_empty() { Ok(read) } else { Err(faults.join("; ")) }
    }

    /// Finds the credential of a token. The time that it takes tells nothing of which there are.
    pub(super) fn find(&self, token: &str) -> Option<&Credential> {
        let hash = digest(&SHA256, token.as_bytes());
        // All are compared, also behind the one that is found.
        self.0.iter().fold(None, |found, one| {
            verify_slices_are_equal(hash.as_ref(), &one.hash).map_or(found, |()| Some(one))
        })
    }

    /// Counts them.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn credential(words: &[&str]) -> Result<Credential, String> {
    let [name, access, hash] = words else {
        return Err(format!("{} words, expected a name, an access and a hash", words.len()));
    };
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(is_known) || *name == LOCAL {
        return Err(format!(
            "the name is malformed, expected 1 to {NAME_MAX} letters, digits or ._@- and not {LOCAL:?}"
        ));
    }
    let access = Access::ALL.into_iter().find(|known| known.name() == *access);
    let access = access.ok_or("the access is not known, expected read, operate or administer")?;
    let hash =
        hash_of(hash).ok_or("the hash is malformed, expected the 64 hexadecimal digits of a SHA-256")?;
    Ok(Credential { name: (*name).to_owned(), access, hash })
}

fn hash_of(digits: &str) -> Option<[u8; SHA256_OUTPUT_LEN]> {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    if digits.len() != 2 * hash.len() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}
