//! The rule by which a gateway is cut off, and by which its clients are asked to move: pure, fed with whether a report
//! was answered and how long that took to see.

use std::time::Duration;

use crate::service::PAUSE;

/// In how many slices clients are asked to move: few enough to be looked for once each, and so many that no other
/// gateway gets more than a tenth of them at once.
const SLICES: u32 = 10;

/// How long reports have gone unanswered, and how many slices of the clients were asked to move.
#[derive(Debug)]
pub(super) struct Rule {
    after: Duration,
    window: Duration,
    unanswered: Duration,
    /// `None` while the gateway is not cut off.
    asked: Option<u32>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    Nothing,
    /// The gateway is cut off from now on.
    Begun,
    /// One in `left` of the clients that were not asked yet is to be asked now; all of them in the last slice, where it is 1.
    Slice { left: u32 },
    /// The gateway is cut off no more.
    Healed,
}

impl Rule {
    /// Makes the rule of a gateway that is cut off when no report was answered for `after`, and then asks its clients
    /// over a `window`; nobody if that is zero.
    pub(super) fn new(after: Duration, window: Duration) -> Self {
        Self { after, window, unanswered: Duration::ZERO, asked: None }
    }

    /// Returns the length of a slice.
    pub(super) fn slice(&self) -> Duration {
        self.window / SLICES
    }

    /// Takes whether a report was answered since the turn before, and how long ago that was. A pause of ours is not counted:
    /// nobody could answer.
    pub(super) fn turn(&mut self, answered: bool, passed: Duration) -> Turn {
        if answered {
            self.unanswered = Duration::ZERO;
            return if self.asked.take().is_some() { Turn::Healed } else { Turn::Nothing };
        }
        if passed < PAUSE {
            self.unanswered = self.unanswered.saturating_add(passed);
        }
        match &mut self.asked {
            None if self.unanswered < self.after => Turn::Nothing,
            None => {
                self.asked = Some(0);
                Turn::Begun
            }
            Some(SLICES) => Turn::Nothing,
            Some(_) if self.window.is_zero() => Turn::Nothing,
            Some(asked) if self.unanswered < self.after + self.window * *asked / SLICES => Turn::Nothing,
            Some(asked) => {
                let left = SLICES - *asked;
                *asked += 1;
                Turn::Slice { left }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::TICK;

    const AFTER: Duration = Duration::from_secs(10);
    const WINDOW: Duration = Duration::from_secs(20);
    const TICKS_PER_SECOND: u32 = 10;

    fn rule() -> Rule {
        Rule::new(AFTER, WINDOW)
    }

    /// Lets so many seconds pass without an answer, and returns what was to be done, with the second.
    fn seconds(rule: &mut Rule, count: u64) -> Vec<(u64, Turn)> {
        let seconds = (1..=count).flat_map(|second| [second; TICKS_PER_SECOND as usize]);
        let turns = seconds.map(|second| (second, rule.turn(false, TICK)));
        turns.filter(|(_, turn)| *turn != Turn::Nothing).collect()
    }

    #[test]
    fn a_gateway_is_cut_off_when_no_report_was_answered_for_so_long_and_never_before() {
        let mut rule = rule();
        assert_eq!(seconds(&mut rule, 9), []);
        assert_eq!(rule.turn(true, TICK), Turn::Nothing, "an answer begins anew");
        assert_eq!(seconds(&mut rule, 10), [(10, Turn::Begun)]);
    }

    #[test]
    fn clients_are_asked_in_even_slices_and_all_before_the_window_is_over() {
        let mut rule = rule();
        assert_eq!(seconds(&mut rule, 10), [(10, Turn::Begun)]);
        let slices = seconds(&mut rule, 100);
        let left: Vec<Turn> = (1..=SLICES).rev().map(|left| Turn::Slice { left }).collect();
        assert_eq!(slices.iter().map(|(_, turn)| *turn).collect::<Vec<_>>(), left);
        let at: Vec<u64> = slices.iter().map(|(second, _)| *second).collect();
        assert_eq!(at, [1, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
        assert_eq!(rule.slice(), WINDOW / 10, "the last of them have two seconds more");
    }

    #[test]
    fn an_answer_ends_it_and_those_that_were_not_asked_are_not() {
        let mut rule = rule();
        assert_eq!(seconds(&mut rule, 13).len(), 3);
        assert_eq!(rule.turn(true, TICK), Turn::Healed);
        assert_eq!(seconds(&mut rule, 9), []);
        assert_eq!(seconds(&mut rule, 2), [(1, Turn::Begun), (2, Turn::Slice { left: SLICES })], "all again");
    }

    #[test]
    fn a_time_in_which_the_gateway_stood_still_is_not_counted() {
        let mut rule = rule();
        assert_eq!(seconds(&mut rule, 9), []);
        for pause in [PAUSE, AFTER * 100] {
            assert_eq!(rule.turn(false, pause), Turn::Nothing);
        }
        assert_eq!(seconds(&mut rule, 1), [(1, Turn::Begun)]);
    }

    #[test]
    fn without_a_window_nobody_is_asked() {
        let mut rule = Rule::new(AFTER, Duration::ZERO);
        assert_eq!(seconds(&mut rule, 100), [(10, Turn::Begun)]);
        assert_eq!(rule.turn(true, TICK), Turn::Healed);
    }
}
