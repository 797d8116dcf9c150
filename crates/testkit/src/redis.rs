//! A real Redis server that lives no longer than its test.
//!
//! The server listens on a free port of the loopback, holds its files in a folder of its own, and knows two
//! users: the one of `deploy/redis/users.acl`, whose rights are exactly those that a deployment grants, and an
//! operator who may do anything. It is the file named by `ROLLCALL_REDIS_SERVER`, else the one that `make setup`
//! installs. Start with [`RedisServer::start`].

mod traffic;
mod wire;

use std::path::PathBuf;

use self::traffic::Own;
pub use self::traffic::RedisTraffic;
use crate::server::{self, ATTEMPTS, Folder, Process};

/// Which server is run; for trying another one than that of `make setup`.
const PROGRAM_VARIABLE: &str = "ROLLCALL_REDIS_SERVER";

/// The line of the file of users as it is deployed, without a password, and as tests use it.
const DEPLOYED: &str = "user rollcall off resetpass ";
const TESTED: &str = "user rollcall on >secret ";

/// The user who may do anything.
const OPERATOR: &str = "user operator on >secret ~* &* +@all\n";

/// What a server has on disk: its snapshot, and the folder of its log where it keeps one.
const DATA: [&str; 2] = ["dump.rdb", "appendonlydir"];

/// What a server had on disk. It lasts as long as the server.
#[derive(Debug)]
pub struct RedisData(PathBuf);

/// A running server. Dropping it kills it and removes its files; its log is shown when the test fails.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    durable: bool,
    /// What the operator has asked since the server started.
    own: Own,
    // Dropped first, so that nothing is written to a folder that is being removed.
    process: Process,
    folder: Folder,
}

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
        let mut folder = Folder::new("redis-server");
        let users = server::read("deploy/redis/users.acl");
        assert!(users.contains(DEPLOYED), "expected {DEPLOYED:?} in deploy/redis/users.acl");
        folder.write("users.acl", &(users.replace(DEPLOYED, TESTED) + OPERATOR));
        for _ in 0..ATTEMPTS {
            let port = server::free_port();
            let process = spawn(&folder, port, durable);
            let mut server = Self { port, durable, own: Own::default(), process, folder };
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
        let mut connection = self.log_in();
        let reply = connection.ask(command);
        self.own.add(connection.bytes());
        reply.unwrap_or_else(|error| panic!("the operator's command failed: {error}"))
    }

    /// Opens a connection of the operator.
    fn log_in(&self) -> wire::Connection {
        let mut connection = wire::Connection::open(self.port).expect("the server accepts connections");
        connection.ask(&["AUTH", "operator", "secret"]).expect("the operator may log in");
        connection
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
        self.process = spawn(&self.folder, self.port, self.durable);
        self.own = Own::default();
        assert!(self.is_ready(), "redis-server did not start again");
    }

    /// Copies what the server has on disk, having it write all that it holds before.
    pub fn copy_data(&self) -> RedisData {
        self.operate(&["SAVE"]);
        let copied = self.folder.path().join("copy");
        server::replace(self.folder.path(), &copied, &DATA);
        RedisData(copied)
    }

    /// Kills the server and starts it again with what it had on disk when that was copied: what it has acknowledged since
    /// is lost.
    pub fn restart_with(&mut self, data: &RedisData) {
        self.kill();
        server::replace(&data.0, self.folder.path(), &DATA);
        self.restart();
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
        let (port, folder, own) = (self.port, self.folder.path(), &self.own);
        self.process.is_ready(|| {
            let Ok(mut server) = wire::Connection::open(port) else { return false };
            let is_ours = server.is_ours(folder);
            own.add(server.bytes());
            is_ours
        })
    }
}

fn spawn(folder: &Folder, port: u16, durable: bool) -> Process {
    let port = port.to_string();
    let durable = if durable { "yes" } else { "no" };
    let arguments = ["--port", &port, "--bind", "127.0.0.1", "--aclfile", "users.acl", "--save", ""];
    let files = ["--appendfsync", "always", "--appendonly", durable];
    folder.spawn(PROGRAM_VARIABLE, &[&arguments[..], &files[..]].concat(), &[])
}
