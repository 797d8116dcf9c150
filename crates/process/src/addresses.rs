//! Where a process listens, for scripts and tests: one JSON object in a file, written once it serves.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::Serialize;

use crate::Error;

/// Writes the file whole: who finds it can read it. Only its owner can, for what it says may hold secrets.
pub fn write(path: &Path, content: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(content);
    text.map_err(io::Error::other)
        .and_then(|text| replace(path, &text))
        .map_err(|source| Error::AddressesFile { path: path.to_owned(), source })
}

/// Takes away the file of an earlier run, so that nobody takes it for ours.
pub fn remove_stale(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::AddressesFile { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Returns an address to connect to where this one is listened on.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new)?;
    file.write_all(text)?;
    file.write_all(b"\n")?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_on_the_loopback() {
        for (listened, reached) in [
            ("0.0.0.0:7700", "127.0.0.1:7700"),
            ("[::]:7700", "[::1]:7700"),
            ("192.0.2.1:7700", "192.0.2.1:7700"),
        ] {
            assert_eq!(reachable(listened.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
