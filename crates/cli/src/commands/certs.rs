//! `certs`: the certificates by which the processes of a cluster know each other. No server is asked.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use rollcall_proto::role::{DOMAIN, Role};
use serde::Serialize;

use crate::{
    args::Output,
    authority::{Authority, Signed},
    clock, escape,
    failure::Failure,
    output,
};

const EXAMPLES: &str = "\
Examples:
  rollcallctl certs certs
  rollcallctl certs certs backend operator --days 30 --force
  rollcallctl certs certs presence --name presence.example.org --name 192.0.2.1

A process is given its own: `ca.pem`, and of its role `ROLE.pem` and `ROLE.key`, as `tls.ca`, `tls.certificate` and \
`tls.key`; an operator with `--ca`, `--cert` and `--cert-key`. Who has `ca.key` can sign for every role: keep it apart. \
An authority of yours is used if its certificate and key lie in the folder as `ca.pem` and `ca.key`.";

/// Seconds of a day.
const DAY: u64 = 86_400;
/// The name of the authority's files.
const CA: &str = "ca";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Folder of the certificates; made if it is not there, with a new authority if it holds none
    folder: PathBuf,
    /// Roles to make certificates for: gateway, presence, subscription, notifier, backend or operator [default: all]
    #[arg(value_name = "ROLE")]
    roles: Vec<Role>,
    /// How long the certificates are valid; never longer than the authority
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650), value_name = "DAYS")]
    days: u32,
    /// How long a new authority is valid
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500), value_name = "DAYS")]
    ca_days: u32,
    /// Another DNS name or IP address of the services, for clients that check those; may be given more than once
    #[arg(long = "name", value_name = "NAME", value_parser = name)]
    names: Vec<String>,
    /// Replace certificates that are there; never the authority
    #[arg(long)]
    force: bool,
    /// How to write the output
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// What was written, as JSON.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    certificate: String,
    key: String,
    valid_until: String,
    made: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let lines = make(args, clock::now())?;
    let text = match args.output {
        Output::Json => lines.iter().map(output::json_line).collect::<Result<String, _>>()?,
        Output::Table => table(&lines),
    };
    output::write(&text)
}

fn make(args: &Args, now: Duration) -> Result<Vec<Line>, Failure> {
    let mut roles = if args.roles.is_empty() { Role::ALL.to_vec() } else { args.roles.clone() };
    roles.sort_unstable();
    roles.dedup();
    if !args.force {
        refuse_to_replace(&args.folder, &roles)?;
    }
    fs::create_dir_all(&args.folder).map_err(|error| failed(&args.folder, &error, "a folder"))?;
    let (authority, line) = authority(args, now)?;
    let mut lines = vec![line];
    for role in roles {
        let signed = authority.sign(role, &args.names, now, days(args.days));
        let signed = signed.map_err(|error| Failure::Certificate(error.to_string()))?;
        lines.push(write(&args.folder, role.name(), &signed)?);
    }
    Ok(lines)
}

/// Looks at all that would be written before anything is.
fn refuse_to_replace(folder: &Path, roles: &[Role]) -> Result<(), Failure> {
    let all = roles.iter().flat_map(|role| files(folder, role.name()));
    let there: Vec<String> =
        all.filter(|file| file.exists()).map(|file| file.display().to_string()).collect();
    if there.is_empty() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{} would be replaced; name the roles that have no certificate yet, or make new ones with --force",
        there.join(", ")
    )))
}

/// Reads the authority of the folder, or makes one.
fn authority(args: &Args, now: Duration) -> Result<(Authority, Line), Failure> {
    let [certificate, key] = files(&args.folder, CA);
    let texts = (read(&certificate)?, read(&key)?);
    match texts {
        (Some(text), Some(secret)) => {
            let authority = Authority::read(&text, &secret, now).map_err(|problem| Failure::File {
                path: certificate.display().to_string(),
                problem: format!(
                    "{problem}, expected an authority and its key; another folder begins with a new one"
                ),
            })?;
            let line = line(&args.folder, CA, authority.ends, false);
            Ok((authority, line))
        }
        (None, None) => {
            let made = Authority::make(now, days(args.ca_days));
            let (authority, signed) = made.map_err(|error| Failure::Certificate(error.to_string()))?;
            let line = write(&args.folder, CA, &signed)?;
            Ok((authority, line))
        }
        (certificate_text, _) => {
            let missing = if certificate_text.is_none() { certificate } else { key };
            Err(Failure::File {
                path: missing.display().to_string(),
                problem: "it is missing, expected an authority and its key, or neither; another folder begins with a new one"
                    .to_owned(),
            })
        }
    }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error, "a file that can be read")),
    }
}

/// Writes a certificate and its key, which is for its owner alone.
fn write(folder: &Path, name: &'static str, signed: &Signed) -> Result<Line, Failure> {
    let [certificate, key] = files(folder, name);
    for (path, text, mode) in [(&key, &signed.key, 0o600), (&certificate, &signed.certificate, 0o644)] {
        replace(path, text, mode).map_err(|error| failed(path, &error, "a file that can be written"))?;
    }
    Ok(line(folder, name, signed.ends, true))
}

/// Writes a file whole, with the rights that it should have from the start.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn files(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")))
}

fn line(folder: &Path, name: &'static str, ends: Duration, made: bool) -> Line {
    let [certificate, key] = files(folder, name).map(|path| path.display().to_string());
    let valid_until = humantime::format_rfc3339_seconds(UNIX_EPOCH + ends).to_string();
    Line { name, certificate, key, valid_until, made }
}

fn table(lines: &[Line]) -> String {
    let rows = lines.iter().map(|line| {
        let [certificate, key] = [&line.certificate, &line.key].map(|path| escape::text(path));
        let what = if line.made { "new" } else { "was there" };
        vec![line.name.to_owned(), what.to_owned(), line.valid_until.clone(), certificate, key]
    });
    output::table(&["NAME", "", "VALID UNTIL", "CERTIFICATE", "KEY"], rows)
}

fn failed(path: &Path, error: &io::Error, expected: &str) -> Failure {
    Failure::File { path: path.display().to_string(), problem: format!("{error}, expected {expected}") }
}

fn days(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * DAY)
}

/// Reads another name of a server: any that names no role.
fn name(text: &str) -> Result<String, String> {
    let is_role = text.to_ascii_lowercase().trim_end_matches('.').ends_with(DOMAIN);
    if is_role {
        return Err("it names a role, expected a DNS name or an IP address of a host".to_owned());
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:*_".contains(&byte);
    if text.is_empty() || !text.bytes().all(known) {
        return Err("expected a DNS name as presence.example.org, or an IP address".to_owned());
    }
    Ok(text.to_owned())
}
