//! What real servers of tests have in common: a process that ends with its handle, a folder of its own, a port.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long a server may take until it answers. It takes some 20 ms; a busy machine may be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often another port is tried when someone else took the free one first.
pub(crate) const ATTEMPTS: u32 = 10;

/// How many of the last lines of the log are shown when a test fails.
const LINES_SHOWN: usize = 50;

/// A server's process; it ends with this.
#[derive(Debug)]
pub(crate) struct Process(Child);

/// The folder of a server's files; it is removed with this. The log in it is shown when the test fails.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    program: &'static str,
}

impl Process {
    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends the server as `kill -9` does; its kernel closes its connections.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a child can be reaped");
    }

    /// Stops the server with SIGSTOP: its connections stay open, and it says nothing. Waits until it has stopped.
    pub(crate) fn pause(&self) {
        stop(self.0.id());
    }

    /// Lets a stopped server go on with SIGCONT.
    pub(crate) fn resume(&self) {
        signal("-CONT", self.0.id());
    }

    /// Waits until the server answers; false if it ended instead.
    pub(crate) fn is_ready(&mut self, mut answers: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        while !answers() {
            if self.0.try_wait().expect("a child can be asked for its state").is_some() {
                return false;
            }
            assert!(start.elapsed() < PATIENCE, "the server did not answer within {PATIENCE:?}");
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
    /// Makes an empty folder for a server of the program.
    pub(crate) fn new(program: &'static str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let count = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("rollcall-{program}-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder for the server can be made");
        Self { path, program }
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path.join(name), text).expect("a file of the server can be written");
    }

    /// Starts a server in it. `variable` of the environment may name another than that of `make setup`.
    pub(crate) fn spawn<A: AsRef<OsStr>>(
        &self,
        variable: &str,
        arguments: &[A],
        environment: &[(&str, &str)],
    ) -> Process {
        let log = File::options().create(true).append(true).open(self.path.join("log"));
        let log = log.expect("a log can be made");
        let program = find(self.program, variable);
        let mut command = Command::new(&program);
        command
            .current_dir(&self.path)
            .args(arguments)
            .envs(environment.iter().copied())
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
            let log = fs::read(self.path.join("log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("--- log of {} ({} lines)\n{}", self.program, lines.len(), end.join("\n"));
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Replaces files and folders in one folder by those of the same names in another; those that it lacks go.
pub(crate) fn replace(from: &Path, to: &Path, names: &[&str]) {
    fs::create_dir_all(to).expect("a folder can be made");
    for name in names {
        let (from, to) = (from.join(name), to.join(name));
        if to.is_dir() {
            fs::remove_dir_all(&to).expect("a folder can be removed");
        } else if to.exists() {
            fs::remove_file(&to).expect("a file can be removed");
        }
        if from.is_dir() {
            let held = fs::read_dir(&from).expect("a folder can be listed").flatten();
            let held: Vec<String> =
                held.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            let held: Vec<&str> = held.iter().map(String::as_str).collect();
            replace(&from, &to, &held);
        } else if from.exists() {
            fs::copy(&from, &to).expect("a file can be copied");
        }
    }
}

/// Stops a process with SIGSTOP, by its id, and waits until all its threads have stopped.
pub fn stop(id: u32) {
    signal("-STOP", id);
    let start = Instant::now();
    while !is_stopped(id) {
        assert!(start.elapsed() < PATIENCE, "process {id} did not stop within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn signal(signal: &str, id: u32) {
    let status = Command::new("kill").args([signal, &id.to_string()]).status().expect("kill is installed");
    assert!(status.success(), "kill {signal} {id}: {status}");
}

/// Says whether a process is stopped, with all its threads where the system tells of those.
fn is_stopped(id: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else {
        let state = Command::new("ps").args(["-o", "state=", "-p", &id.to_string()]).output();
        return state.expect("ps is installed").stdout.trim_ascii().starts_with(b"T");
    };
    // The state follows the name, which stands in brackets and may hold some itself.
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}

/// Finds a program; panics with what to do where there is none.
fn find(program: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let path = root().join(".tools/current/bin").join(program);
    assert!(
        path.exists(),
        "{program} is missing at {}: `make setup` installs it; {variable} may name another",
        path.display()
    );
    path
}

/// Finds a port that is free at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// Reads a file of the tree.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path} is in the tree: {error}"))
}

/// Finds the root of the tree.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the package is two folders below the root")
}
