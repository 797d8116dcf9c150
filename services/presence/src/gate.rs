//! Who may do what with apps: the credentials of the admin service, and who asks.
//!
//! A credential is a token that is shown as `authorization: Bearer …`. Its name, its access and the hash of its token
//! stand in a file, which is read again when it changes. Without such a file whoever reaches the admin service may do all
//! of it, as certificates and addresses say. Start with [`Gate::admit`].

mod credentials;

use std::{
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::RwLock;
use rollcall_domain::code::{Code, Refusal};
use rollcall_runtime::{
    Error,
    grpc::{Seldom, certified_role},
    shutdown::CancellationToken,
};
use tonic::{Request, Status};
use tracing::{info, warn};

use self::credentials::{Credential, Credentials, FILE_MAX, LOCAL};
use crate::{error::refused, metrics::Metrics};

/// How often it is looked whether the file has changed: a credential that was taken away is refused as soon as any other
/// change of an app takes effect (SPEC G1).
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a credential allows; each allows what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// To see apps, the names of their keys, and audit logs.
    Read,
    /// To change the settings of apps.
    Operate,
    /// To create apps, and to add and remove keys.
    Administer,
}

impl Access {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Administer];

    /// Returns the name, as in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Lets calls of the admin service pass. Clones are the same.
#[derive(Clone)]
pub(crate) struct Gate {
    held: Option<Arc<Held>>,
    metrics: Metrics,
    refused: Arc<Seldom>,
}

struct Held {
    path: PathBuf,
    credentials: RwLock<Credentials>,
}

impl Gate {
    /// Reads the file of credentials; an empty path stands for none. Fails if it cannot be read.
    pub(crate) fn load(path: &Path, metrics: Metrics) -> Result<Self, Error> {
        let held = if path.as_os_str().is_empty() {
            None
        } else {
            let credentials = read(path).map_err(|fault| Error::Config(vec![fault]))?;
            info!(credentials = credentials.len(), file = %path.display(), "took credentials of the admin service");
            Some(Arc::new(Held { path: path.to_owned(), credentials: RwLock::new(credentials) }))
        };
        Ok(Self { held, metrics, refused: Arc::default() })
    }

    /// Reads the file again and again until `shutdown`. What cannot be read is told, and leaves all as it was.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Some(held) = self.held else { return shutdown.cancelled().await };
        let look = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let held = Arc::clone(&held);
                // A panic is impossible, and the end of the process ends this too.
                let _ = tokio::task::spawn_blocking(move || held.look()).await;
            }
        };
        shutdown.run_until_cancelled(look).await;
    }

    /// Returns who calls, if they may: the name of the credential or, without a file, what is known of the peer. Refuses
    /// who shows no credential that is known with 6014, and one with less access with `PERMISSION_DENIED`.
    pub(crate) fn admit<T>(&self, request: &Request<T>, needed: Access) -> Result<String, Status> {
        let Some(held) = &self.held else { return Ok(peer(request)) };
        let Some(shown) = bearer(request) else {
            return Err(self.refuse(0, unauthenticated("no credential is shown")));
        };
        match held.credentials.read().find(shown) {
            None => Err(self.refuse(0, unauthenticated("the credential is not known"))),
            Some(Credential { name, access, .. }) if *access < needed => {
                let message =
                    format!("credential {name} has access {access}, expected {needed} for this call");
                Err(self.refuse(1, Status::permission_denied(message)))
            }
            Some(credential) => Ok(credential.name.clone()),
        }
    }

    /// Returns who calls a service that is not guarded here: the name of the credential, if one is shown that is known,
    /// else what is known of the peer.
    pub(crate) fn name<T>(&self, request: &Request<T>) -> String {
        let shown = self.held.as_ref().zip(bearer(request));
        let name = shown.and_then(|(held, token)| {
            held.credentials.read().find(token).map(|credential| credential.name.clone())
        });
        name.unwrap_or_else(|| peer(request))
    }

    fn refuse(&self, reason: usize, status: Status) -> Status {
        self.metrics.shut_out[reason].inc();
        if let Some(others) = self.refused.pass() {
            warn!(reason = status.message(), others, "refused a call of the admin service");
        }
        status
    }
}

impl Held {
    fn look(&self) {
        match read(&self.path) {
            Ok(read) if read == *self.credentials.read() => {}
            Ok(read) => {
                info!(credentials = read.len(), file = %self.path.display(), "took new credentials of the admin service");
                *self.credentials.write() = read;
            }
            Err(fault) => warn!(fault, "credentials cannot be read again, going on with those before"),
        }
    }
}

fn read(path: &Path) -> Result<Credentials, String> {
    let refused =
        |problem: &dyn fmt::Display| format!("presence.admin_credentials: {}: {problem}", path.display());
    let mut text = String::new();
    let file =
        File::open(path).map_err(|error| refused(&format!("{error}, expected a file of credentials")))?;
    // One byte more than there may be: so a longer file is seen to be one.
    let whole = file.take(FILE_MAX + 1).read_to_string(&mut text);
    whole.map_err(|error| refused(&format!("{error}, expected text")))?;
    Credentials::parse(&text).map_err(|fault| refused(&fault))
}

/// Returns the token that a call shows (RFC 6750, section 2.1).
fn bearer<T>(request: &Request<T>) -> Option<&str> {
    let shown = request.metadata().get("authorization")?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn peer<T>(request: &Request<T>) -> String {
    certified_role(request).map_or_else(|| LOCAL.to_owned(), |role| format!("certificate:{role}"))
}

fn unauthenticated(problem: &str) -> Status {
    let expected = "expected `authorization: Bearer` and a token of the admin service";
    refused(&Refusal::new(Code::NotLoggedIn, format!("{problem}, {expected}")))
}

#[cfg(test)]
mod tests;
