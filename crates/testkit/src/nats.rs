//! A real NATS server that lives no longer than its test.
//!
//! The server listens on a free port of the loopback, keeps its streams in a folder of its own, and knows the users
//! of `deploy/nats/users.conf`, whose rights are exactly those that a deployment grants, and an operator who may
//! do anything. It is the file named by `ROLLCALL_NATS_SERVER`, else the one that `make setup` installs. Start with
//! [`NatsServer::start`].

mod traffic;

use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
};

pub use self::traffic::NatsTraffic;
use crate::server::{self, ATTEMPTS, Folder, PATIENCE, Process};

/// Which server is run; for trying another one than that of `make setup`.
const PROGRAM_VARIABLE: &str = "ROLLCALL_NATS_SERVER";

/// The passwords that the file of users takes from the environment; all are the same.
const PASSWORDS: [&str; 6] = [
    "ROLLCALL_GATEWAY_PASSWORD",
    "ROLLCALL_PRESENCE_PASSWORD",
    "ROLLCALL_SUBSCRIPTION_PASSWORD",
    "ROLLCALL_NOTIFIER_PASSWORD",
    "ROLLCALL_NODE_PASSWORD",
    "ROLLCALL_TAP_PASSWORD",
];

/// Where the users begin in the file that is deployed, and the user who may do anything.
const USERS: &str = "users = [\n";
const OPERATOR: &str = "    { user: operator, password: secret }\n";

/// A running server. Dropping it kills it and removes its files; its log is shown when the test fails.
#[derive(Debug)]
pub struct NatsServer {
    port: u16,
    /// Where it tells what it does.
    monitoring: u16,
    // Dropped first, so that nothing is written to a folder that is being removed.
    process: Process,
    folder: Folder,
}

impl NatsServer {
    /// Starts a server with JetStream, and waits until it answers. What it acknowledged is there after a restart.
    pub fn start() -> Self {
        Self::start_with("", &[])
    }

    /// Starts a server with further lines of configuration, which win over those before, and files in its folder.
    pub fn start_with(lines: &str, files: &[(&str, &str)]) -> Self {
        let mut folder = Folder::new("nats-server");
        let users = server::read("deploy/nats/users.conf");
        assert!(users.contains(USERS), "expected {USERS:?} in deploy/nats/users.conf");
        folder.write("users.conf", &users.replace(USERS, &format!("{USERS}{OPERATOR}")));
        for (name, text) in files {
            folder.write(name, text);
        }
        for _ in 0..ATTEMPTS {
            let (port, monitoring) = (server::free_port(), server::free_port());
            // The name tells whether a server that answers is this one.
            let name = folder.path().display();
            let config = format!(
                "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitoring}\"\nserver_name: \"{name}\"\n\
                 jetstream: {{ store_dir: \"streams\", max_file_store: 8GB }}\ninclude \"users.conf\"\n{lines}\n"
            );
            folder.write("nats.conf", &config);
            let mut server = Self { port, monitoring, process: spawn(&folder), folder };
            if server.is_ready() {
                return server;
            }
            folder = server.folder;
        }
        panic!("nats-server did not start in {ATTEMPTS} attempts");
    }

    /// Returns the URL for a user of the file that is deployed, or for `operator`.
    pub fn url(&self, user: &str) -> String {
        format!("nats://{user}:secret@127.0.0.1:{}", self.port)
    }

    /// Returns the port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns where a file of the server's folder is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the id of the server's process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends the server as `kill -9` does; its kernel closes its connections.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts a killed server again, on the same port and files, and waits until it answers.
    pub fn restart(&mut self) {
        self.process = spawn(&self.folder);
        assert!(self.is_ready(), "nats-server did not start again");
    }

    /// Stops the server with SIGSTOP: its connections stay open, and it says nothing.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets a stopped server go on with SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Waits until the server answers; false if it ended instead.
    fn is_ready(&mut self) -> bool {
        let (port, name) = (self.port, self.folder.path().display().to_string());
        self.process.is_ready(|| greeting(port).is_some_and(|greeting| greeting.contains(&name)))
    }
}

/// Reads the line with which a server on the port greets.
fn greeting(port: u16) -> Option<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.starts_with("INFO ").then_some(line)
}

fn spawn(folder: &Folder) -> Process {
    folder.spawn(PROGRAM_VARIABLE, &["--config", "nats.conf"], &PASSWORDS.map(|name| (name, "secret")))
}
