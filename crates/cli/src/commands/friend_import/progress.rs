//! How far an import has come, on standard error: a line that is written over where somebody watches, else a line now and
//! then, for a log.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use crate::failure::note;

/// The least time between two writings on a terminal.
const LIVELY: Duration = Duration::from_millis(200);
/// The least time between two lines in a log.
const SELDOM: Duration = Duration::from_secs(10);

/// Tells how far an import has come.
pub(super) struct Progress {
    total: Option<u64>,
    begun: Duration,
    told: Duration,
    is_terminal: bool,
    is_shown: bool,
}

impl Progress {
    /// Begins now, with the number of lines if it is known.
    pub(super) fn new(total: Option<u64>, now: Duration) -> Self {
        Self { total, begun: now, told: now, is_terminal: io::stderr().is_terminal(), is_shown: false }
    }

    /// Tells that so many lines are done, if it is time to.
    pub(super) fn at(&mut self, done: u64, now: Duration) {
        let pause = if self.is_terminal { LIVELY } else { SELDOM };
        if now.saturating_sub(self.told) < pause {
            return;
        }
        self.told = now;
        let text = text(done, self.total, now.saturating_sub(self.begun));
        if self.is_terminal {
            self.is_shown = true;
            // Nobody is left to tell when standard error is gone.
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K{text}");
        } else {
            note(&text);
        }
    }

    /// Takes away what is shown, so that something else can be.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}

fn text(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
    let rate = u128::from(done) * 1_000 / elapsed.as_millis().max(1);
    format!("{done}{of} lines done, {rate} a second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_lines_are_done_of_how_many_and_how_fast() {
        let elapsed = Duration::from_millis(2_500);
        assert_eq!(text(5_000, Some(20_000), elapsed), "5000 of 20000 lines done, 2000 a second");
        assert_eq!(text(5_000, None, Duration::ZERO), "5000 lines done, 5000000 a second");
    }
}
