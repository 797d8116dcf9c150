//! One layer of the configuration, which knows how to tell where a value came from.

use std::path::Path;

use figment::{
    Error, Metadata, Profile, Provider,
    providers::{Env, Format as _, Serialized, Toml},
    value::{Dict, Map},
};

/// What the names of variables begin with.
const PREFIX: &str = "ROLLCALL__";
/// What stands between section and key in the name of a variable.
const SEPARATOR: &str = "__";

/// Values of one origin.
pub(super) struct Layer {
    metadata: Metadata,
    data: Result<Map<Profile, Dict>, Error>,
}

impl Layer {
    /// The values that hold when nobody says otherwise.
    pub(super) fn defaults(provider: impl Provider) -> Self {
        Self::new(&provider, Metadata::named("defaults").interpolater(|_, _| "the defaults".to_owned()))
    }

    /// The values of a file.
    pub(super) fn file(path: &Path, text: &str) -> Self {
        let name = format!("file {}", path.display());
        let metadata =
            Metadata::named(name.clone()).interpolater(move |_: &Profile, _: &[&str]| name.clone());
        Self::new(&Toml::string(text), metadata)
    }

    /// The values of the environment.
    pub(super) fn environment() -> Self {
        let metadata = Metadata::named("environment").interpolater(|_, keys| {
            format!("environment variable {PREFIX}{}", keys.join(SEPARATOR).to_uppercase())
        });
        Self::new(&Env::prefixed(PREFIX).split(SEPARATOR), metadata)
    }

    /// The value of one flag.
    pub(super) fn flag(flag: &'static str, key: &str, value: String) -> Self {
        let metadata =
            Metadata::named(flag).interpolater(move |_: &Profile, _: &[&str]| format!("flag {flag}"));
        Self::new(&Serialized::default(key, value), metadata)
    }

    fn new(provider: &impl Provider, metadata: Metadata) -> Self {
        Self { metadata, data: provider.data() }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        self.data.clone()
    }
}

/// Tells where the value of a key came from.
pub(super) fn source(metadata: &Metadata, path: &[String]) -> String {
    format!(" (from {})", metadata.interpolate(&Profile::Default, path))
}
