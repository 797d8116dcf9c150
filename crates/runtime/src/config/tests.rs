//! Configuration from all its layers.

use std::time::Duration;

use figment::Jail;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    presence: Presence,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    listen: std::net::SocketAddr,
    #[serde(with = "humantime_serde")]
    expiry: Duration,
    batch: u32,
}

impl Validate for Presence {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.expiry.is_zero() {
            faults.push("expiry: 0s, expected at least 1s".to_owned());
        }
        if self.batch == 0 {
            faults.push("batch: 0, expected at least 1".to_owned());
        }
        faults
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        faults_of("presence", &self.presence).collect()
    }
}

fn defaults() -> Config {
    Config {
        presence: Presence {
            listen: "127.0.0.1:1".parse().unwrap(),
            expiry: Duration::from_secs(400),
            batch: 10,
        },
    }
}

fn refused(file: Option<&Path>, flags: Flags) -> Vec<String> {
    match load(&defaults(), file, flags) {
        Err(Error::Config(faults)) => faults,
        other => panic!("expected faults, got {other:?}"),
    }
}

fn flag(key: &'static str, value: &str) -> Flags {
    Flags::default().set("--flag", key, Some(value))
}

#[test]
#[expect(clippy::result_large_err, reason = "the jail's own error")]
fn flags_win_over_environment_over_file_over_defaults() {
    Jail::expect_with(|jail| {
        assert_eq!(load(&defaults(), None, Flags::default()).unwrap(), defaults());
        jail.create_file(
            "rollcall.toml",
            "[presence]\nexpiry = \"1s\"\nbatch = 1\nlisten = \"127.0.0.1:2\"",
        )?;
        jail.set_env("ROLLCALL__PRESENCE__EXPIRY", "2m");
        jail.set_env("ROLLCALL__PRESENCE__LISTEN", "127.0.0.1:3");
        jail.set_env("ROLLCALL_SERVICE_HOST", "10.0.0.1");
        let config = load(&defaults(), None, flag("presence.listen", "127.0.0.1:4")).unwrap();
        assert_eq!(config.presence.batch, 1);
        assert_eq!(config.presence.expiry, Duration::from_mins(2));
        assert_eq!(config.presence.listen, "127.0.0.1:4".parse().unwrap());
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the jail's own error")]
fn a_wrong_value_is_told_with_its_key_and_its_source() {
    Jail::expect_with(|jail| {
        jail.create_file("own.toml", "[presence]\nbatch = -1")?;
        let faults = refused(Some(Path::new("own.toml")), Flags::default());
        assert_eq!(
            faults,
            ["presence.batch: invalid value signed int `-1`, expected u32 (from file own.toml)"]
        );

        jail.set_env("ROLLCALL__PRESENCE__EXPIRY", "soon");
        let [fault] = &refused(None, Flags::default())[..] else { panic!("expected one fault") };
        assert!(fault.starts_with("presence.expiry: "), "{fault}");
        assert!(fault.ends_with("(from environment variable ROLLCALL__PRESENCE__EXPIRY)"), "{fault}");

        jail.set_env("ROLLCALL__PRESENCE__EXPIRY", "1s");
        let [fault] = &refused(None, flag("presence.listen", "here"))[..] else {
            panic!("expected one fault")
        };
        assert!(fault.starts_with("presence.listen: "), "{fault}");
        assert!(fault.ends_with("(from flag --flag)"), "{fault}");
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the jail's own error")]
fn an_unknown_key_is_refused_with_its_source() {
    Jail::expect_with(|jail| {
        jail.create_file("rollcall.toml", "[presence]\nexpiri = \"1s\"")?;
        let [fault] = &refused(None, Flags::default())[..] else { panic!("expected one fault") };
        assert!(fault.starts_with("presence.expiri: unknown field"), "{fault}");
        assert!(fault.ends_with("(from file rollcall.toml)"), "{fault}");

        jail.create_file("rollcall.toml", "")?;
        jail.set_env("ROLLCALL__GATEWEY__LISTEN", "127.0.0.1:1");
        let [fault] = &refused(None, Flags::default())[..] else { panic!("expected one fault") };
        assert!(fault.starts_with("gatewey: unknown field"), "{fault}");
        assert!(fault.ends_with("(from environment variable ROLLCALL__GATEWEY)"), "{fault}");
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the jail's own error")]
fn all_faults_of_readable_values_are_reported_at_once() {
    Jail::expect_with(|jail| {
        jail.create_file("rollcall.toml", "[presence]\nexpiry = \"0s\"")?;
        jail.set_env("ROLLCALL__PRESENCE__BATCH", "0");
        assert_eq!(
            refused(None, Flags::default()),
            [
                "presence.expiry: 0s, expected at least 1s (from file rollcall.toml)",
                "presence.batch: 0, expected at least 1 (from environment variable ROLLCALL__PRESENCE__BATCH)",
            ]
        );
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the jail's own error")]
fn a_file_that_is_named_must_exist_and_be_toml() {
    Jail::expect_with(|jail| {
        let [fault] = &refused(Some(Path::new("none.toml")), Flags::default())[..] else {
            panic!("expected one fault")
        };
        assert!(fault.starts_with("none.toml: No such file"), "{fault}");
        jail.create_file("own.toml", "presence = [")?;
        let [fault] = &refused(Some(Path::new("own.toml")), Flags::default())[..] else {
            panic!("expected one fault")
        };
        assert!(fault.ends_with("(from file own.toml)"), "{fault}");
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the jail's own error")]
fn what_is_printed_is_what_is_read() {
    Jail::expect_with(|jail| {
        let printed = to_toml(&defaults()).unwrap();
        assert!(printed.contains("expiry = \"6m 40s\""), "{printed}");
        jail.create_file("rollcall.toml", &printed)?;
        assert_eq!(load(&defaults(), None, Flags::default()).unwrap(), defaults());
        Ok(())
    });
}

#[test]
fn a_profile_is_read_by_its_name() {
    assert_eq!("fast".parse(), Ok(Profile::Fast));
    assert_eq!(Profile::Fast.to_string(), "fast");
    let error = "quick".parse::<Profile>().unwrap_err();
    assert_eq!(error, "profile \"quick\" is not known, expected default or fast");
}
