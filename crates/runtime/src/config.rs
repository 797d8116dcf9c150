//! Configuration: defaults in code, then `rollcall.toml`, then the environment, then flags; later ones win.
//!
//! A variable is named `ROLLCALL__SECTION__KEY`. The underscore is doubled after the prefix too, because an
//! orchestrator may inject `ROLLCALL_SERVICE_HOST` and the like. Start with [`load`].

mod layer;

use std::{fmt, io::ErrorKind, path::Path, str::FromStr};

use figment::{Figment, error::Kind, providers::Serialized};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::Error;
use layer::Layer;

/// The file that is read when it is there and no other is named.
pub const DEFAULT_FILE: &str = "rollcall.toml";

/// Which set of defaults a configuration starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The durations that the specification names.
    #[default]
    Default,
    /// Durations scaled down, for tests and demonstrations.
    Fast,
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "default" => Ok(Self::Default),
            "fast" => Ok(Self::Fast),
            _ => Err(format!("profile {name:?} is not known, expected default or fast")),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Fast => "fast",
        })
    }
}

/// Tells what is wrong with values that can be read.
pub trait Validate {
    /// Lists all faults at once. Each begins with the key and a colon, and says what was found and what was
    /// expected: `expiry: 0s, expected at least 1s`.
    fn faults(&self) -> Vec<String>;
}

/// Puts the name of a section before the keys of its faults.
pub fn faults_of(section: &str, config: &impl Validate) -> impl Iterator<Item = String> {
    config.faults().into_iter().map(move |fault| format!("{section}.{fault}"))
}

/// Values given on the command line, in the order in which they count.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(&'static str, &'static str, String)>);

impl Flags {
    /// Adds the value of a flag if there is one. `key` is dotted, as `gateway.listen`.
    #[must_use]
    pub fn set(mut self, flag: &'static str, key: &'static str, value: Option<impl ToString>) -> Self {
        self.0.extend(value.map(|value| (flag, key, value.to_string())));
        self
    }
}

/// Loads a configuration, and reports all its faults with the source of each.
///
/// `file` names the file to read; if `None`, [`DEFAULT_FILE`] is read if it is there. A named file must exist.
/// Keys that are not known are refused if `T` denies them.
pub fn load<T>(defaults: &T, file: Option<&Path>, flags: Flags) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned + Validate,
{
    let mut figment = Figment::from(Layer::defaults(Serialized::defaults(defaults)));
    if let Some((path, text)) = read(file)? {
        figment = figment.merge(Layer::file(path, &text));
    }
    figment = figment.merge(Layer::environment());
    for (flag, key, value) in flags.0 {
        figment = figment.merge(Layer::flag(flag, key, value));
    }

    let config: T = figment.extract().map_err(|error| Error::Config(describe(&figment, error)))?;
    let faults = config.faults();
    if faults.is_empty() {
        return Ok(config);
    }
    Err(Error::Config(faults.into_iter().map(|fault| with_source(&figment, fault)).collect()))
}

/// Writes a configuration as TOML, as [`load`] reads it.
pub fn to_toml(config: &impl Serialize) -> Result<String, Error> {
    toml::to_string(config).map_err(Error::Print)
}

/// Reads a variable whose name another standard gives, as OpenTelemetry does; `None` if it is not set or empty.
#[expect(clippy::disallowed_methods, reason = "this is the configuration")]
pub(crate) fn foreign_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read(file: Option<&Path>) -> Result<Option<(&Path, String)>, Error> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == ErrorKind::NotFound && file.is_none() => Ok(None),
        Err(error) => Err(Error::Config(vec![format!(
            "{}: {error}, expected a configuration file that can be read",
            path.display()
        )])),
    }
}

/// Says what could not be read, at which key, and where that came from.
fn describe(figment: &Figment, error: figment::Error) -> Vec<String> {
    error
        .into_iter()
        .map(|error| {
            let mut path = error.path.clone();
            if let Kind::UnknownField(field, _) = &error.kind
                && path.last() != Some(field)
            {
                path.push(field.clone());
            }
            let key = path.join(".");
            let metadata = error.metadata.as_ref().or_else(|| figment.find_metadata(&key));
            let source = metadata.map(|metadata| layer::source(metadata, &path)).unwrap_or_default();
            if key.is_empty() {
                format!("{}{source}", error.kind)
            } else {
                format!("{key}: {}{source}", error.kind)
            }
        })
        .collect()
}

fn with_source(figment: &Figment, fault: String) -> String {
    let Some((key, _)) = fault.split_once(':') else { return fault };
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    let source = figment.find_metadata(key).map(|metadata| layer::source(metadata, &path));
    fault + &source.unwrap_or_default()
}

#[cfg(test)]
mod tests;
