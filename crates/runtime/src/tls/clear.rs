//! What would be spoken in clear text with other machines.
//!
//! Such a process is refused and not warned of: calls carry tokens and the keys of apps, and whoever reaches the admin
//! service commands the system. Where something else protects connections, as a mesh does, `tls.off` says so.

use std::net::{IpAddr, SocketAddr};

use tonic::codegen::http::{Uri, uri::Scheme};

use super::Config;

/// What to do instead.
const REMEDY: &str = "tls with ca, certificate and key, or tls.off = true if something else protects it";

impl Config {
    /// Finds an address that other machines reach in clear text.
    pub fn fault_of_listen(&self, key: &str, listen: SocketAddr) -> Option<String> {
        let is_open = !self.is_on() && !self.off && !is_loopback(listen.ip());
        is_open.then(|| {
            format!("{key}: {listen} is open to other machines, expected one of the loopback, {REMEDY}")
        })
    }

    /// Finds URLs, with commas between, whose scheme is not how they will be spoken to, and such of other machines
    /// without TLS. What is no URL is told by who connects.
    pub fn faults_of_urls(&self, key: &str, urls: &str) -> Vec<String> {
        let fault = |text: &str| {
            let url: Uri = text.parse().ok()?;
            let is_https = url.scheme() == Some(&Scheme::HTTPS);
            if is_https != self.is_on() {
                let (scheme, because) = if is_https { ("http", "without") } else { ("https", "with") };
                return Some(format!("{key}: {text}, expected {scheme}:// {because} tls"));
            }
            let is_open = !is_https && !self.off && !is_local(url.host()?);
            is_open.then(|| {
                format!("{key}: {text} is on another machine, expected one of the loopback, {REMEDY}")
            })
        };
        urls.split(',').filter_map(|url| fault(url.trim())).collect()
    }
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(is_loopback)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> Config {
        Config { ca: "ca".into(), certificate: "certificate".into(), key: "key".into(), off: false }
    }

    fn off() -> Config {
        Config { off: true, ..Config::default() }
    }

    #[test]
    fn what_other_machines_reach_in_clear_text_is_refused_unless_told_to_be() {
        for (listen, is_open) in [
            ("127.0.0.1:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.0.2.1:1", true),
        ] {
            let listen = listen.parse().unwrap();
            assert_eq!(Config::default().fault_of_listen("listen", listen).is_some(), is_open, "{listen}");
            assert_eq!(on().fault_of_listen("listen", listen), None);
            assert_eq!(off().fault_of_listen("listen", listen), None);
        }
        let said = Config::default().fault_of_listen("presence.listen", "0.0.0.0:1".parse().unwrap());
        assert_eq!(
            said.unwrap(),
            "presence.listen: 0.0.0.0:1 is open to other machines, expected one of the loopback, tls with ca, \
             certificate and key, or tls.off = true if something else protects it"
        );
    }

    #[test]
    fn a_url_says_how_it_is_spoken_to() {
        let count = |config: Config, urls: &str| config.faults_of_urls("gateway.presence", urls).len();
        for (urls, plain, with, told) in [
            ("http://127.0.0.1:1, http://[::1]:2,http://localhost:3", 0, 3, 0),
            ("http://presence:1,http://127.0.0.1:1", 1, 2, 0),
            ("https://presence:1,https://127.0.0.1:1", 2, 0, 2),
            ("no url", 0, 0, 0),
        ] {
            assert_eq!(count(Config::default(), urls), plain, "{urls}");
            assert_eq!(count(on(), urls), with, "{urls}");
            assert_eq!(count(off(), urls), told, "{urls}");
        }
        assert_eq!(
            on().faults_of_urls("gateway.presence", "http://a:1"),
            ["gateway.presence: http://a:1, expected https:// with tls"]
        );
    }
}
