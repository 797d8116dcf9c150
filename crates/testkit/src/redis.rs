//! A real Redis server that lives no longer than its test.
//!
//! The server listens on a free port of the loopback, holds its files in a folder of its own, and knows two
//! users: the one of `deploy/redis/users.acl`, whose rights are exactly those that a deployment grants, and an
//! operator who may do anything. It is the file named by `ROLLCALL_REDIS_SERVER`, else the one that `make setup`
//! installs. Start with [`RedisServer::start`].

mod wire;

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Which server is run; for trying another one than that of `make setup`.
const PROGRAM_VARIABLE: &str = "ROLLCALL_REDIS_SERVER";

/// How long a server may take until it answers. It takes some 20 ms; a busy machine may be slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often another port is tried when someone else took the free one first.
const ATTEMPTS: u32 = 10;

/// How many of the last lines of the log are shown when a test fails.
const LINES_SHOWN: usize = 50;

/// The line of the file of users as it is deployed, without a password, and as tests use it.
const DEPLOYED: &str = "user rollcall off resetpass ";
const TESTED: &str = "user rollcall on >secret ";

/// The user who may do anything.
const OPERATOR: &str = "user operator on >secret ~* &* +@all\n";

/// A running server. Dropping it kills it and removes its files; its log is shown when the test fails.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    durable: bool,
    // Dropped first, so that nothing is written to a folder that is being removed.
    process: Process,
    folder: Folder,
}

/// The server's process; it ends with this.
#[derive(Debug)]
struct Process(Child);

/// The folder of the server's files; it is removed with this.
#[derive(Debug)]
struct Folder(PathBuf);

impl RedisServer {
    /// Starts a server that keeps nothing over a restart, and waits until it answers.
    pub fn start() -> Self {
        Self::start_as(false)
    }

    /// Starts a server that has on disk what it has acknowledged, and waits until it answers.
    pub fn start_durable() -> Self {
        Self::start_as(true)
    }

    fn start_as(durable: bool) -> Self {
        let mut folder = Folder::new();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let process = folder.spawn(port, durable);
            let mut server = Self { port, durable, process, folder };
            if server.is_ready() {
                return server;
            }
            folder = server.folder;
        }
        panic!("redis-server did not start in {ATTEMPTS} attempts");
    }

    /// Returns the URL for the user whom a deployment has.
    pub fn url(&self) -> String {
        format!("redis://rollcall:secret@127.0.0.1:{}", self.port)
    }

    /// Returns the port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends a command as the operator and returns the reply as text, a line for each element of an array.
    /// Panics when the server answers with an error.
    pub fn operate<A: AsRef<[u8]>>(&self, command: &[A]) -> String {
        let mut connection = wire::Connection::open(self.port).expect("the server accepts connections");
        connection.ask(&["AUTH", "operator", "secret"]).expect("the operator may log in");
        connection.ask(command).unwrap_or_else(|error| panic!("the operator's command failed: {error}"))
    }

    /// Ends the server as `kill -9` does; its kernel closes its connections.
    pub fn kill(&mut self) {
        self.process.0.kill().expect("a child can be killed");
        self.process.0.wait().expect("a child can be reaped");
    }

    /// Starts a killed server again, on the same port and files, and waits until it answers.
    pub fn restart(&mut self) {
        self.process = self.folder.spawn(self.port, self.durable);
        assert!(self.is_ready(), "redis-server did not start again");
    }

    /// Stops the server with SIGSTOP: its connections stay open, and it says nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a stopped server go on with SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.0.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().expect("kill is installed");
        assert!(status.success(), "kill {signal} {id}: {status}");
    }

    /// Waits until the server answers; false if it ended instead.
    fn is_ready(&mut self) -> bool {
        let start = Instant::now();
        while !wire::Connection::open(self.port).is_ok_and(|mut server| server.is_ours(&self.folder.0)) {
            if self.process.0.try_wait().expect("a child can be asked for its state").is_some() {
                return false;
            }
            assert!(start.elapsed() < PATIENCE, "redis-server did not answer within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the server is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Folder {
    /// Makes a folder with the file of users.
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let count = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rollcall-redis-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the server can be made");
        let folder = Self(folder);

        let users =
            fs::read_to_string(root().join("deploy/redis/users.acl")).expect("the users are in the tree");
        assert!(users.contains(DEPLOYED), "expected {DEPLOYED:?} in deploy/redis/users.acl");
        let users = users.replace(DEPLOYED, TESTED) + OPERATOR;
        fs::write(folder.0.join("users.acl"), users).expect("the users can be written");
        folder
    }

    /// Starts a server in the folder.
    fn spawn(&self, port: u16, durable: bool) -> Process {
        let log = File::options().create(true).append(true).open(self.0.join("log"));
        let log = log.expect("a log can be made");
        let program = program();
        let mut command = Command::new(&program);
        command
            .current_dir(&self.0)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--aclfile", "users.acl"])
            .args(["--save", "", "--appendfsync", "always"])
            .args(["--appendonly", if durable { "yes" } else { "no" }])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log can be shared"))
            .stderr(log);
        let child = command.spawn();
        Process(child.unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read(self.0.join("log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("--- log of redis-server ({} lines)\n{}", lines.len(), end.join("\n"));
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Finds the server; panics with what to do where there is none.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os(PROGRAM_VARIABLE) {
        return path.into();
    }
    let path = root().join(".tools/current/bin/redis-server");
    assert!(
        path.exists(),
        "redis-server is missing at {}: `make setup` installs it; {PROGRAM_VARIABLE} may name another",
        path.display()
    );
    path
}

/// Finds a port that is free at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// Finds the root of the tree.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the package is two folders below the root")
}
