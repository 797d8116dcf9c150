//! Settings of the gateway, with the defaults that SPEC states.

use std::{net::SocketAddr, time::Duration};

use rollcall_runtime::config::{Profile, Validate};
use serde::{Deserialize, Serialize};

/// Settings of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where clients connect. Default `127.0.0.1:7700`; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Where gRPC health is served. Default `127.0.0.1:0`, any free port.
    pub health_listen: SocketAddr,
    /// The URLs of the instances of presence, with commas between. Default `http://127.0.0.1:7701`.
    pub presence: String,
    /// Those of subscription. Default `http://127.0.0.1:7702`.
    pub subscription: String,
    /// Those of the notifiers. Default `http://127.0.0.1:7703`.
    pub notifier: String,
    /// How long a client may be silent before its session ends. Default 400 s. Equal to presence's.
    #[serde(with = "humantime_serde")]
    pub expiry: Duration,
    /// How often a client with nothing to say should say so. Default 50 s: proxies cut at 60 s.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// How long a connection may take to log in. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub login_timeout: Duration,
    /// How long a session goes on after its token ran out, unless a new one is shown. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub token_grace: Duration,
    /// How often presence is told of one session that was heard. Default 100 s.
    #[serde(with = "humantime_serde")]
    pub upload_every: Duration,
    /// Presence is told at once if it would let the session expire sooner than this. Default 120 s.
    #[serde(with = "humantime_serde")]
    pub upload_left: Duration,
    /// The time between two reports. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub report_every: Duration,
    /// How long the reply to a report is awaited. Default 1 s.
    #[serde(with = "humantime_serde")]
    pub report_timeout: Duration,
    /// For how long it is remembered how sessions ended, should presence ask. Default 60 s, at least `report_every`.
    #[serde(with = "humantime_serde")]
    pub ends_kept: Duration,
    /// In which time presence is told once, by a digest, which sessions the gateway has in each partition; it finds then
    /// what the two do not agree on. Default 5 min, at least `report_every`.
    #[serde(with = "humantime_serde")]
    pub digest_every: Duration,
    /// How long a call to another service may take. Default 5 s. What it changes is stored in the first 3/5 of it or
    /// never; if it is lost on its way, finding that out takes up to 2/5 more.
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
    /// How long no report may be answered before this gateway is cut off: clients are not let in any more, and those
    /// here are asked to move. Default 10 s, at least `report_every` and twice `report_timeout`.
    #[serde(with = "humantime_serde")]
    pub cut_off_after: Duration,
    /// Over how long clients are asked to move to other gateways before this one stops, or while it is cut off. Default
    /// 20 s; zero asks nobody, and closes their connections at once when it stops.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// Origins of browser pages that may connect, besides the gateway's own host. Default none.
    pub allowed_origins: Vec<String>,
    /// Connections open at once, a gRPC stream being one; further ones are refused, with HTTP 503 or UNAVAILABLE.
    /// Default 100000.
    pub connections: usize,
    /// Connections admitted in one second, after a first burst of twice as many. Default 5000.
    pub admissions_per_second: u32,
}

impl Config {
    /// Returns the defaults of a profile.
    pub fn profile(profile: Profile) -> Self {
        let defaults = Self {
            listen: ([127, 0, 0, 1], 7700).into(),
            health_listen: ([127, 0, 0, 1], 0).into(),
            presence: "http://127.0.0.1:7701".to_owned(),
            subscription: "http://127.0.0.1:7702".to_owned(),
            notifier: "http://127.0.0.1:7703".to_owned(),
            expiry: Duration::from_secs(400),
            heartbeat: Duration::from_secs(50),
            login_timeout: Duration::from_secs(5),
            token_grace: Duration::from_secs(60),
            upload_every: Duration::from_secs(100),
            upload_left: Duration::from_secs(120),
            report_every: Duration::from_secs(2),
            report_timeout: Duration::from_secs(1),
            ends_kept: Duration::from_secs(60),
            digest_every: Duration::from_secs(300),
            call_timeout: Duration::from_secs(5),
            cut_off_after: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            allowed_origins: Vec::new(),
            connections: 100_000,
            admissions_per_second: 5_000,
        };
        match profile {
            Profile::Default => defaults,
            Profile::Fast => Self {
                expiry: Duration::from_secs(8),
                heartbeat: Duration::from_secs(1),
                token_grace: Duration::from_secs(5),
                upload_every: Duration::from_secs(2),
                upload_left: Duration::from_millis(2500),
                report_every: Duration::from_millis(500),
                report_timeout: Duration::from_millis(500),
                ends_kept: Duration::from_secs(10),
                digest_every: Duration::from_secs(5),
                cut_off_after: Duration::from_millis(1500),
                drain: Duration::from_secs(2),
                ..defaults
            },
        }
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (key, value) in [
            ("expiry", self.expiry),
            ("heartbeat", self.heartbeat),
            ("login_timeout", self.login_timeout),
            ("upload_every", self.upload_every),
            ("report_every", self.report_every),
            ("report_timeout", self.report_timeout),
            ("call_timeout", self.call_timeout),
        ] {
            if value.is_zero() {
                faults.push(format!("{key}: 0s, expected more than 0s"));
            }
        }
        if self.heartbeat.as_secs() == 0 || self.heartbeat.saturating_mul(2) > self.expiry {
            let (heartbeat, expiry) = (self.heartbeat, self.expiry);
            faults.push(format!("heartbeat: {heartbeat:?}, expected 1s to half of the expiry {expiry:?}"));
        }
        if self.upload_every + self.report_every >= self.expiry {
            let (upload, expiry) = (self.upload_every, self.expiry);
            faults.push(format!("upload_every: {upload:?}, expected less than the expiry {expiry:?}"));
        }
        for (key, value) in [("ends_kept", self.ends_kept), ("digest_every", self.digest_every)] {
            if value < self.report_every {
                let every = self.report_every;
                faults.push(format!("{key}: {value:?}, expected at least report_every, {every:?}"));
            }
        }
        // One report over the bus, and past it, may take so long.
        let report = self.report_every + self.report_timeout * 2;
        if self.cut_off_after < report {
            let after = self.cut_off_after;
            faults.push(format!(
                "cut_off_after: {after:?}, expected at least report_every and twice report_timeout, {report:?}"
            ));
        }
        if self.connections == 0 {
            faults.push("connections: 0, expected at least 1".to_owned());
        }
        if self.admissions_per_second == 0 {
            faults.push("admissions_per_second: 0, expected at least 1".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_are_valid_and_faults_are_told_all_at_once() {
        for profile in [Profile::Default, Profile::Fast] {
            assert_eq!(Config::profile(profile).faults(), Vec::<String>::new());
        }
        let config = Config {
            expiry: Duration::ZERO,
            cut_off_after: Duration::from_secs(3),
            connections: 0,
            admissions_per_second: 0,
            ..Config::profile(Profile::Default)
        };
        assert!(config.faults().len() >= 5, "{:?}", config.faults());
        let cut_off = "cut_off_after: 3s, expected at least report_every and twice report_timeout, 4s";
        assert!(config.faults().contains(&cut_off.to_owned()), "{:?}", config.faults());
    }
}
