//! Tests of the gate before the admin service.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use rollcall_runtime::metrics::Registry;
use tonic::metadata::MetadataValue;

use super::*;

fn hash(token: &str) -> String {
    digest(&SHA256, token.as_bytes()).as_ref().iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

fn file() -> String {
    let [reader, operator, administrator] = ["token-r", "token-o", "token-a"].map(hash);
    format!(
        "# name access hash\n\nviewer read {reader}\n  deploy\toperate  {}\r\nroot administer {administrator}",
        operator.to_uppercase()
    )
}

fn gate(text: &str) -> Gate {
    let credentials = RwLock::new(Credentials::parse(text).unwrap());
    let held = Some(Arc::new(Held { path: PathBuf::from("not read"), credentials }));
    Gate { held, metrics: Metrics::new(&Registry::default()), refused: Arc::default() }
}

fn open() -> Gate {
    Gate::load(Path::new(""), Metrics::new(&Registry::default())).unwrap()
}

fn showing(authorization: &str) -> Request<()> {
    let mut request = Request::new(());
    request.metadata_mut().insert("authorization", MetadataValue::try_from(authorization).unwrap());
    request
}

fn admitted(gate: &Gate, authorization: &str, needed: Access) -> Result<String, tonic::Code> {
    gate.admit(&showing(authorization), needed).map_err(|status| status.code())
}

#[test]
fn a_credential_may_do_what_its_access_says_and_what_lesser_ones_may() {
    let gate = gate(&file());
    for (token, name, most) in [
        ("token-r", "viewer", Access::Read),
        ("token-o", "deploy", Access::Operate),
        ("token-a", "root", Access::Administer),
    ] {
        for needed in Access::ALL {
            let expected =
                if needed <= most { Ok(name.to_owned()) } else { Err(tonic::Code::PermissionDenied) };
            assert_eq!(admitted(&gate, &format!("Bearer {token}"), needed), expected, "{name} {needed}");
        }
    }
    let status = gate.admit(&showing("Bearer token-r"), Access::Administer).unwrap_err();
    let said = "credential viewer has access read, expected administer for this call";
    assert_eq!(status.message(), said);
}

#[test]
fn who_shows_no_credential_or_an_unknown_one_is_refused_without_its_being_repeated() {
    let gate = gate(&file());
    let none = gate.admit(&Request::new(()), Access::Read).unwrap_err();
    assert_eq!(none.code(), tonic::Code::Unauthenticated);
    assert!(none.message().contains("no credential is shown, expected `authorization: Bearer`"), "{none}");
    let hash = hash("token-a");
    for shown in ["Basic token-a", "token-a", "Bearer", "Bearer ", "Bearer token-", "Bearer token-aa", &hash]
    {
        let status = gate.admit(&showing(shown), Access::Read).unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated, "{shown}");
        assert!(!status.message().contains("token-"), "{status}");
    }
    assert_eq!(admitted(&gate, &format!("Bearer {hash}"), Access::Read), Err(tonic::Code::Unauthenticated));
    assert_eq!(admitted(&gate, "bearer  token-a ", Access::Read).as_deref(), Ok("root"));
}

#[test]
fn refusals_are_counted_by_their_reason() {
    let gate = gate(&file());
    gate.admit(&Request::new(()), Access::Read).unwrap_err();
    gate.admit(&showing("Bearer wrong"), Access::Read).unwrap_err();
    gate.admit(&showing("Bearer token-r"), Access::Operate).unwrap_err();
    gate.admit(&showing("Bearer token-r"), Access::Read).unwrap();
    assert_eq!(gate.metrics.shut_out.clone().map(|counter| counter.get()), [2, 1]);
}

#[test]
fn without_a_file_whoever_calls_may_do_all_and_is_named_as_the_peer() {
    for needed in Access::ALL {
        assert_eq!(admitted(&open(), "Bearer whatever", needed).as_deref(), Ok("local"));
    }
    assert_eq!(open().name(&showing("Bearer token-r")), "local");
    assert_eq!(gate(&file()).name(&showing("Bearer token-r")), "viewer");
    assert_eq!(gate(&file()).name(&showing("Bearer wrong")), "local");
}

#[test]
fn a_file_with_nothing_in_it_lets_nobody_in() {
    let gate = gate("# none yet\n");
    assert_eq!(admitted(&gate, "Bearer token-a", Access::Read), Err(tonic::Code::Unauthenticated));
}

#[test]
fn all_faults_of_a_file_are_told_with_their_lines_and_no_secret() {
    let good = hash("token");
    let long = "n".repeat(33);
    let cases = [
        ("secret", "line 1: 1 words, expected a name, an access and a hash"),
        (&format!("a read {good} more")[..], "line 1: 4 words"),
        (&format!("a:b read {good}")[..], "line 1: the name is malformed, expected 1 to 32 letters"),
        (&format!("{long} read {good}")[..], "line 1: the name is malformed"),
        (&format!("local read {good}")[..], "and not \"local\""),
        (&format!("a write {good}")[..], "line 1: the access is not known, expected read, operate or"),
        ("a read secret", "line 1: the hash is malformed, expected the 64 hexadecimal digits"),
        (&format!("a read {}", &good[1..])[..], "line 1: the hash is malformed"),
        (&format!("a read {}é", &good[2..])[..], "line 1: the hash is malformed"),
        (&format!("a read {good}\n#\nb read {good}")[..], "line 3: the hash is that of another line"),
        (&format!("a x {good}\nb y {good}")[..], "line 2: the access is not known"),
    ];
    for (text, expected) in cases {
        let fault = Credentials::parse(text).unwrap_err();
        assert!(fault.contains(expected) && !fault.contains("secret"), "{text:?}: {fault}");
    }
    let line = |number: usize| format!("n{number} read {}\n", hash(&number.to_string()));
    let many: String = (0..257).map(line).collect();
    assert!(Credentials::parse(&many).unwrap_err().contains("257 credentials, expected at most 256"));
    assert_eq!(Credentials::parse(&many.lines().skip(1).collect::<Vec<_>>().join("\n")).unwrap().len(), 256);
    let endless = "#".repeat(usize::try_from(FILE_MAX).unwrap() + 1);
    assert!(Credentials::parse(&endless).unwrap_err().contains("longer than the 65536 bytes"));
    assert!(!format!("{:?}", gate(&file()).held.unwrap().credentials.read()).contains(&hash("token-r")[..8]));
}

#[test]
fn a_file_that_is_not_there_is_a_fault_that_names_it() {
    let metrics = Metrics::new(&Registry::default());
    let error = Gate::load(Path::new("no/such/file"), metrics).err().unwrap().to_string();
    assert!(error.contains("presence.admin_credentials: no/such/file: "), "{error}");
    assert!(error.contains("expected a file of credentials"), "{error}");
}
