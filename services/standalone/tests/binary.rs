//! The binary, from outside: configuration, addresses, errors, stop.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

/// How often a condition is looked at, and how many times before the test fails: a minute in all.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 3_000;

/// A folder of one test, in which the binary runs.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", process::id()));
        // What an earlier run with this process id left.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.current_dir(&self.0).args(arguments).env_clear();
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts on free ports.
    fn start(&self, arguments: &[&str]) -> Running {
        let free = ["--listen", "--admin-listen", "--subscription-listen", "--notifier-listen"];
        let free = free.map(|flag| format!("{flag}=127.0.0.1:0"));
        let output = fs::File::create(self.0.join("out.txt")).unwrap();
        let mut command = self.command(&free.each_ref().map(String::as_str));
        command.args(["--addresses-file", "addresses.json"]).args(arguments);
        Running(command.stdout(output).stderr(Stdio::null()).spawn().unwrap())
    }

    fn addresses(&self) -> Option<Value> {
        fs::read(self.0.join("addresses.json")).ok().map(|text| serde_json::from_slice(&text).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn ended(&mut self) -> process::ExitStatus {
        eventually(|| self.0.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(value) = condition() {
            return value;
        }
        thread::sleep(LOOK_EVERY);
    }
    panic!("the condition did not come true")
}

/// Asks for a path by HTTP, under the name of a host, and returns the whole reply.
fn ask(address: &Value, path: &str, host: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address.as_str().unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs with a configuration that is refused, and returns what is said.
fn refused(test: &str, toml: &str, arguments: &[&str]) -> String {
    let folder = Folder::new(test);
    let output = folder.write("rollcall.toml", toml).run(arguments);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr)
}

#[test]
fn an_unknown_key_is_refused_with_the_file_that_has_it() {
    let said = refused("unknown-key", "[gateway]\nlistn = \"127.0.0.1:1\"", &[]);
    assert!(said.contains("gateway.listn: unknown field"), "{said}");
    assert!(said.contains("(from file rollcall.toml)"), "{said}");
}

#[test]
fn all_faults_are_told_at_once_with_their_sources() {
    let toml = "[log]\nfilter = \"=\"\n[gateway]\nnotifier = \"http://127.0.0.1:9\"\nexpiry = \"0s\"";
    let said = refused("faults", toml, &["--log", "rollcall=loud"]);
    for part in [
        "\n  - gateway.notifier: \"http://127.0.0.1:9\", expected none, for rollcall runs its own (from file",
        "\n  - gateway.expiry: 0s, expected",
        "\n  - presence.expiry: 400s, expected 0ns as of the gateway",
        "\n  - log.filter: log filter \"rollcall=loud\" is refused",
        "(from flag --log)",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn a_configuration_file_that_is_named_must_exist() {
    let said = refused("no-file", "", &["--config", "other.toml"]);
    assert!(said.contains("other.toml: No such file or directory"), "{said}");
}

#[test]
fn the_printed_configuration_is_read_again_as_it_was() {
    let folder = Folder::new("print");
    let first = folder.command(&["--print-config", "--profile", "fast", "--listen", "127.0.0.1:9"]);
    let printed = |mut command: Command| {
        let output = command.env("ROLLCALL__LOG__FILTER", "debug").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let first = printed(first);
    for line in ["[gateway]", "listen = \"127.0.0.1:9\"", "expiry = \"8s\"", "filter = \"debug\""] {
        assert!(first.contains(line), "{line} is not in {first}");
    }
    let second = printed(folder.write("rollcall.toml", &first).command(&["--print-config"]));
    assert_eq!(second, first);
}

#[test]
fn a_taken_port_is_told_with_the_flag_that_sets_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--admin-listen", "--subscription-listen", "--notifier-listen"] {
        let free = |other: &'static str| if other == flag { address.as_str() } else { "127.0.0.1:0" };
        let folder = Folder::new(&format!("taken{flag}"));
        let output = folder.run(&[
            &format!("--listen={}", free("--listen")),
            &format!("--admin-listen={}", free("--admin-listen")),
            &format!("--subscription-listen={}", free("--subscription-listen")),
            &format!("--notifier-listen={}", free("--notifier-listen")),
        ]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in [format!("see {flag} for where it listens"), address.clone(), "in use".to_owned()] {
            assert!(said.contains(&part), "{part} is not in {said}");
        }
    }
}

#[test]
fn addresses_are_written_once_all_services_serve_and_sigterm_stops_in_order() {
    let folder = Folder::new("addresses");
    folder.write("addresses.json", "\"of an earlier run\"");
    let mut running = folder.start(&["--profile", "fast"]);
    let addresses = eventually(|| folder.addresses().filter(Value::is_object));
    for name in ["client", "admin", "subscription", "notifier", "ops"] {
        let address: std::net::SocketAddr = addresses[name].as_str().unwrap().parse().unwrap();
        std::net::TcpStream::connect(address).unwrap();
    }
    assert_eq!(addresses.get("demo"), None);
    running.signal("-TERM");
    assert!(running.ended().success());
}

#[test]
fn an_operators_tools_find_the_process_ready_once_it_serves() {
    let folder = Folder::new("ready");
    let _running = folder.start(&["--profile", "fast"]);
    let addresses = eventually(|| folder.addresses().filter(Value::is_object));
    let ask = |path: &str| ask(&addresses["ops"], path, "ops");
    eventually(|| ask("/readyz").starts_with("HTTP/1.1 200").then_some(()));
    assert!(ask("/livez").starts_with("HTTP/1.1 200"));
    assert!(ask("/metrics").ends_with("# EOF\n"));
}

#[test]
fn the_demo_makes_an_app_and_tokens_and_prints_what_to_paste() {
    let folder = Folder::new("demo");
    let mut running = folder.start(&["--demo"]);
    let addresses = eventually(|| folder.addresses());
    let demo = &addresses["demo"];
    assert_eq!(demo["app_id"], 1_400_000_001);
    assert_eq!(demo["token_key"].as_str().unwrap().len(), 64);
    let banner = eventually(|| {
        let banner = fs::read_to_string(folder.0.join("out.txt")).unwrap();
        banner.ends_with("\n\n").then_some(banner)
    });
    for user in ["alice", "bob"] {
        let token = demo["tokens"][user].as_str().unwrap();
        assert_eq!(token.split('.').count(), 3);
        assert!(banner.contains(&format!("--user-id {user} --token {token}\n")), "{banner}");
    }
    let playground = format!("  playground              http://{}/\n", addresses["client"].as_str().unwrap());
    assert!(banner.contains(&playground), "{banner}");
    running.signal("-INT");
    assert!(running.ended().success());
}

#[test]
fn the_demo_shows_a_page_that_may_load_nothing_from_elsewhere_and_that_no_cache_keeps() {
    let folder = Folder::new("page");
    let _running = folder.start(&["--demo"]);
    let addresses = eventually(|| folder.addresses());
    let page = ask(&addresses["client"], "/", "127.0.0.1");
    for part in [
        "HTTP/1.1 200",
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "frame-ancestors 'none'",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        addresses["demo"]["tokens"]["alice"].as_str().unwrap(),
        "\"expiryMs\":400000",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // ATTACK X5
    assert!(ask(&addresses["client"], "/", "evil.example").starts_with("HTTP/1.1 421"));
}

#[test]
fn without_the_demo_there_is_no_page() {
    let folder = Folder::new("no-page");
    let _running = folder.start(&[]);
    let addresses = eventually(|| folder.addresses());
    assert!(ask(&addresses["client"], "/", "127.0.0.1").starts_with("HTTP/1.1 404"));
}
