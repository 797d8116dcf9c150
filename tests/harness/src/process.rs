//! A child process that cannot outlive its test.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

/// How many of the last lines of an output are shown when a test fails.
const LINES_SHOWN: usize = 200;

/// A child process whose output goes to files. Dropping it kills and reaps it, and shows the output if the test is
/// failing.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    errors: PathBuf,
}

impl Process {
    /// Starts `command` in `folder`, with its output in files of that folder that are named after `name`.
    pub fn spawn(name: &str, mut command: Command, folder: &Path) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let count = STARTED.fetch_add(1, Ordering::Relaxed);
        let output = folder.join(format!("{name}-{count}.out"));
        let errors = folder.join(format!("{name}-{count}.err"));
        let given: Vec<OsString> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        for (variable, _) in std::env::vars_os().filter(|(name, _)| is_setting(name) && !given.contains(name))
        {
            command.env_remove(variable);
        }
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(File::create(&output).expect("an output file can be made"))
            .stderr(File::create(&errors).expect("an output file can be made"))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { name: name.to_owned(), child, output, errors }
    }

    /// Returns what the process has written to its standard output.
    pub fn output(&self) -> String {
        read(&self.output)
    }

    /// Returns what the process has written to its standard error.
    pub fn errors(&self) -> String {
        read(&self.errors)
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns how the process ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("a child can be asked for its state")
    }

    /// Ends the process as `kill -9` does, and reaps it: its kernel closes its connections.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be reaped");
    }

    /// Asks the process to stop with SIGTERM, and waits until it has.
    pub async fn terminate(&mut self) {
        self.signal("-TERM");
        crate::wait::eventually(&format!("{} to stop", self.name.clone()), async || self.ended().is_some())
            .await;
    }

    /// Stops the process with SIGSTOP, and waits until it has: its connections stay open, and it says nothing.
    pub fn stop(&self) {
        rollcall_testkit::stop(self.child.id());
    }

    /// Lets a stopped process go on with SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().expect("kill is installed");
        assert!(status.success(), "kill {signal} {id}: {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            for (kind, path) in [("output", &self.output), ("errors", &self.errors)] {
                let text = read(path);
                let lines: Vec<&str> = text.lines().collect();
                let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
                eprintln!("--- {kind} of {} ({} lines)\n{}", self.name, lines.len(), shown.join("\n"));
            }
        }
    }
}

/// Tells settings of ours and of traces, which would change what is tested.
fn is_setting(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("ROLLCALL") || name.starts_with("OTEL_")
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
