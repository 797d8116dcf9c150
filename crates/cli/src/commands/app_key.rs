//! `app key`: the keys by which the tokens of an app are checked (SPEC H1).

use std::{fs, path::Path};

use clap::Subcommand;
use rcgen::{PKCS_ED25519, PublicKeyData as _, SubjectPublicKeyInfo};
use rollcall_proto::admin::v1::{AddTokenKeyRequest, ListTokenKeysRequest, RemoveTokenKeyRequest};
use serde::Serialize;

use crate::{
    admin,
    args::{AdminOptions, Output},
    failure::Failure,
    output,
};

const EXAMPLES: &str = "\
Examples:
  openssl genpkey -algorithm ed25519 -out key.pem && openssl pkey -in key.pem -pubout -out public.pem
  rollcallctl app key add --app-id 1 --kid 2026 --public-key public.pem
  rollcallctl token --app-id 1 --user-id alice --ed25519-key key.pem --kid 2026
  rollcallctl app key list --app-id 1
  rollcallctl app key remove --app-id 1 --kid 1";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Adds the public key of a pair of Ed25519; without, makes an HS256 key and shows it this once
    Add {
        #[command(flatten)]
        which: Which,
        /// Public key of Ed25519, PEM as of `openssl pkey -pubout`
        #[arg(long, value_name = "FILE")]
        public_key: Option<std::path::PathBuf>,
        #[command(flatten)]
        admin: AdminOptions,
    },
    /// Lists the keys, without secrets
    List {
        /// Number of the app
        #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
        app_id: u32,
        #[command(flatten)]
        admin: AdminOptions,
    },
    /// Removes a key: tokens signed with it are refused from then on
    Remove {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        admin: AdminOptions,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Number of the app
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    app_id: u32,
    /// Name of the key, which tokens carry as `kid`
    #[arg(long, value_name = "NAME")]
    kid: String,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    kid: &'a str,
    algorithm: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_key: Option<&'a str>,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    match args.verb {
        Verb::Add { which: Which { app_id, kid }, public_key, admin } => {
            let ed25519_public_key = public_key.as_deref().map(read_public).transpose()?.unwrap_or_default();
            let algorithm = if ed25519_public_key.is_empty() { "HS256" } else { "EdDSA" };
            let message = AddTokenKeyRequest { app_id, kid: kid.clone(), ed25519_public_key };
            let added = admin::connect(&admin).await?.add_token_key(admin.server().request(message)).await;
            let token_key = admin.server().outcome("app key add", added)?.token_key;
            let token_key = (!token_key.is_empty()).then_some(token_key.as_str());
            show(admin.call.output, &[Line { kid: &kid, algorithm, token_key }])
        }
        Verb::List { app_id, admin } => {
            let message = admin.server().request(ListTokenKeysRequest { app_id });
            let listed = admin::connect(&admin).await?.list_token_keys(message).await;
            let keys = admin.server().outcome("app key list", listed)?.keys;
            let lines: Vec<Line<'_>> = keys
                .iter()
                .map(|key| Line { kid: &key.kid, algorithm: &key.algorithm, token_key: None })
                .collect();
            show(admin.call.output, &lines)
        }
        Verb::Remove { which: Which { app_id, kid }, admin } => {
            let message = admin.server().request(RemoveTokenKeyRequest { app_id, kid });
            let removed = admin::connect(&admin).await?.remove_token_key(message).await;
            admin.server().outcome("app key remove", removed).map(drop)
        }
    }
}

fn read_public(path: &Path) -> Result<Vec<u8>, Failure> {
    let unusable = |problem: String| Failure::File {
        path: path.display().to_string(),
        problem: format!("{problem}, expected a public key of Ed25519 in PEM"),
    };
    let pem = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let key = SubjectPublicKeyInfo::from_pem(&pem).map_err(|error| unusable(error.to_string()))?;
    if key.algorithm() != &PKCS_ED25519 {
        return Err(unusable(format!("a key of {:?}", key.algorithm())));
    }
    Ok(key.der_bytes().to_vec())
}

fn show(output: Output, lines: &[Line<'_>]) -> Result<(), Failure> {
    let text = match output {
        Output::Json => lines.iter().map(output::json_line).collect::<Result<Vec<_>, _>>()?.concat(),
        Output::Table => {
            let row = |line: &Line<'_>| {
                vec![line.kid.to_owned(), line.algorithm.to_owned(), line.token_key.unwrap_or("").to_owned()]
            };
            output::table(&["kid", "algorithm", "token key"], lines.iter().map(row).collect::<Vec<_>>())
        }
    };
    output::write(&text)
}
