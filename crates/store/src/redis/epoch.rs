//! Which epoch a server is in: that of its run and of its place in replication.
//!
//! A server that starts has another run id, and one that becomes a master another replication id. So whatever may have
//! lost acknowledged writes is another epoch; a connection that is made anew to the same server is not.

use redis::Cmd;
use rollcall_domain::epoch::Epoch;

/// What the server tells of both, each in a line of its own: a colon, and the id.
const NAMES: [&str; 2] = ["run_id", "master_replid"];

/// Makes the command whose reply [`read`] reads.
pub(super) fn ask() -> Cmd {
    let mut command = redis::cmd("INFO");
    command.arg("server").arg("replication");
    command
}

/// Reads the epoch from what a server tells; fails with what is missing there.
pub(super) fn read(told: &str) -> Result<Epoch, String> {
    let find = |name: &str| {
        let mut lines = told.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim());
        found.ok_or_else(|| format!("the server tells no {name}, expected Redis 7.0 or later, or Valkey"))
    };
    let [run, replication] = NAMES.map(find);
    Ok(Epoch::of(&[run?, replication?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_run_and_another_replication_are_other_epochs_and_all_else_is_the_same() {
        let told = |run, replication, seconds| {
            format!(
                "# Server\r\nrun_id:{run}\r\nuptime_in_seconds:{seconds}\r\n\r\n# Replication\r\n\
                 role:master\r\nmaster_replid:{replication}\r\n"
            )
        };
        let epoch = |run, replication, seconds| read(&told(run, replication, seconds)).unwrap();
        assert_eq!(epoch("a", "b", 1), epoch("a", "b", 2));
        assert_ne!(epoch("a", "b", 1), epoch("c", "b", 1));
        assert_ne!(epoch("a", "b", 1), epoch("a", "c", 1));
    }

    #[test]
    fn a_server_that_does_not_tell_who_it_is_is_refused_with_what_is_missing() {
        assert!(read("run_id:a\r\n").unwrap_err().contains("no master_replid"));
        assert!(read("").unwrap_err().contains("no run_id"));
    }
}
