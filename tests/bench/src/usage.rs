//! What the kernel says of a process: processor time, memory, open files. Linux only.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    time::Duration,
};

use anyhow::Context as _;

/// Reads what one process uses.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    /// The processor time of each thread when last read, in nanoseconds. One that has ended keeps its last.
    threads: BTreeMap<u32, u64>,
}

/// Memory of a process that is in RAM, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// Now.
    pub now: u64,
    /// The most there ever was.
    pub peak: u64,
}

impl Process {
    /// Begins to read a process.
    pub fn new(pid: u32) -> Self {
        Self { pid, threads: BTreeMap::new() }
    }

    /// Returns the processor time used so far by all threads.
    ///
    /// `schedstat` counts nanoseconds; `/proc/PID/stat` counts hundredths of a second, in which a thousand
    /// idle connections for ten seconds would read as nothing. What a thread used between the last reading and
    /// its end is not seen; the threads that work live as long as the process.
    pub fn cpu(&mut self) -> anyhow::Result<Duration> {
        let folder = format!("/proc/{}/task", self.pid);
        for entry in fs::read_dir(&folder).with_context(|| format!("{folder}: the process is gone"))? {
            let path = entry?.path();
            let Some(thread) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
                continue;
            };
            let path = path.join("schedstat");
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                // The thread has ended since the folder was read, or the file was opened, or the kernel does
                // not count.
                Err(error) if error.kind() == ErrorKind::NotFound || is_gone(&error) => continue,
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            };
            let used = cpu_nanos(&text).with_context(|| format!("{}: {text:?}", path.display()))?;
            self.threads.insert(thread, used);
        }
        anyhow::ensure!(!self.threads.is_empty(), "{folder}: no thread has a schedstat file to read");
        Ok(Duration::from_nanos(self.threads.values().sum()))
    }

    /// Returns the memory that is in RAM.
    pub fn resident(&self) -> anyhow::Result<Resident> {
        let path = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&path).with_context(|| format!("{path}: the process is gone"))?;
        let field = |name| kilobytes(&text, name).with_context(|| format!("{path} has no {name}"));
        Ok(Resident { now: field("VmRSS")? * 1024, peak: field("VmHWM")? * 1024 })
    }
}

/// Checks that this process, and a server that it starts, may hold `connections`; if not, says what to do.
pub fn check_open_files(connections: usize) -> anyhow::Result<()> {
    let limits = fs::read_to_string("/proc/self/limits").context("/proc/self/limits")?;
    let (soft, hard) = open_files(&limits).context("/proc/self/limits names no limit of open files")?;
    let needed = connections + SPARE_FILES;
    anyhow::ensure!(
        needed <= soft,
        "{connections} clients need {needed} open files, but only {soft} are allowed: {}",
        if needed <= hard {
            format!("run `ulimit -n {needed}` in this shell first")
        } else {
            format!("this system grants a process at most {hard}, so take fewer clients")
        }
    );
    Ok(())
}

/// Whether a file of the kernel was opened, but the process or thread that it tells of had ended when it was read.
fn is_gone(error: &io::Error) -> bool {
    /// No such process; the same on every Linux.
    const ESRCH: i32 = 3;
    error.raw_os_error() == Some(ESRCH)
}

/// Open files that a process needs besides its connections, with room to spare.
const SPARE_FILES: usize = 100;

/// Reads the first number of a `schedstat`: nanoseconds on a processor.
fn cpu_nanos(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

/// Reads a field of `/proc/PID/status` that is in kB.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

/// Reads the soft and the hard limit of open files in `/proc/PID/limits`.
fn open_files(limits: &str) -> Option<(usize, usize)> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().unwrap_or(usize::MAX));
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(cpu_nanos("174412958 303124943 2442\n"), Some(174_412_958));
        let status = "Name:\tx\nVmHWM:\t    9 kB\nVmRSS:\t 5164 kB\n";
        assert_eq!((kilobytes(status, "VmRSS"), kilobytes(status, "VmHWM")), (Some(5164), Some(9)));
        assert_eq!(kilobytes(status, "VmR"), None);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  unlimited  files\n";
        assert_eq!(open_files(limits), Some((1024, usize::MAX)));
    }

    #[test]
    fn this_process_uses_memory_and_processor() {
        let mut process = Process::new(std::process::id());
        let before = process.cpu().unwrap();
        for _ in 0..1000 {
            // Threads that end while the kernel's files of them are read; the tests beside this one do too.
            let ended = std::thread::spawn(|| {});
            process.cpu().unwrap();
            ended.join().unwrap();
        }
        let resident = process.resident().unwrap();
        assert!(0 < resident.now && resident.now <= resident.peak, "{resident:?}");
        assert!(process.cpu().unwrap() >= before);
    }

    #[test]
    fn too_many_connections_are_refused_with_what_to_do() {
        check_open_files(1).unwrap();
        let error = check_open_files(usize::MAX / 2).unwrap_err().to_string();
        assert!(error.contains("open files"), "{error}");
    }
}
