//! URLs whose passwords are never shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A URL that may hold a password, or several with commas between. Written down, by whatever way, a password is
/// `***`. It must not hold a comma.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// Returns the URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, url) in self.0.split(',').enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let parts = url.split_once("://").and_then(|(scheme, rest)| {
                // A password may hold an @, a host never does.
                let (login, host) = rest.rsplit_once('@')?;
                // What stands alone before the @ is a token on some engines.
                let user = login.split_once(':').map(|(user, _)| format!("{user}:")).unwrap_or_default();
                Some((scheme, user, host))
            });
            match parts {
                Some((scheme, user, host)) => write!(f, "{comma}{scheme}://{user}***@{host}")?,
                None => write!(f, "{comma}{url}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_written_down() {
        for (url, shown) in [
            ("redis://me:pass@host:6379", "redis://me:***@host:6379"),
            ("redis://me:p@ss@host", "redis://me:***@host"),
            ("nats://token@host", "nats://***@host"),
            ("redis://host:6379", "redis://host:6379"),
            ("nats://a:b@one,nats://c:d@two", "nats://a:***@one,nats://c:***@two"),
            ("memory", "memory"),
        ] {
            let secret = Secret::new(url);
            assert_eq!(secret.to_string(), shown);
            assert_eq!(format!("{secret:?}"), format!("\"{shown}\""));
            assert_eq!(serde_json::to_value(&secret).unwrap(), shown);
            assert_eq!(secret.expose(), url);
        }
    }
}
