//! What a cluster does of itself: so much in a second, and two things that come in bursts.
//!
//! Each instance of presence looks into every outbox about once a second, and for passed deadlines in every partition
//! about twice a minute. A burst of either, in a window or just missed, would be more than what a few hundred changes
//! cost. So it is not the time that tells how many of them were in a window, but the services, which count them; what
//! one of each costs is found by least squares over pieces of the empty time.

use super::{carried::Carried, counter::Window};

/// The calls to the store that come in bursts.
const BURSTS: [&str; 2] = ["unpublished", "due"];
/// The causes of what is carried: time, and the calls of bursts.
const CAUSES: usize = 1 + BURSTS.len();
/// A cause that varies on its own by less than this part of its square is not told from the others.
const INDISTINCT: f64 = 1e-3;

type Causes = [f64; CAUSES];

/// What is carried when nobody does anything.
#[derive(Debug)]
pub(super) struct Background {
    /// For a second, and for each call of the bursts.
    each: [Carried; CAUSES],
}

impl Background {
    /// Finds it in pieces of time in which nobody did anything.
    pub(super) fn of(pieces: &[Window]) -> Self {
        let rows: Vec<Causes> = pieces.iter().map(causes).collect();
        let weights = least_squares(&rows);
        let each = weights
            .map(|weights| Carried::sum(weights.into_iter().zip(pieces.iter().map(|piece| &piece.carried))));
        Self { each }
    }

    /// Returns what a window has beyond it.
    pub(super) fn beyond(&self, window: &Window) -> Carried {
        let own = causes(window).map(|cause| -cause).into_iter().zip(&self.each);
        Carried::sum(own.chain([(1.0, &window.carried)]))
    }
}

fn causes(window: &Window) -> Causes {
    let calls = |name: &str| window.carried.store_calls.get(name).copied().unwrap_or_default();
    let [unpublished, due] = BURSTS.map(calls);
    [window.seconds, unpublished, due]
}

/// For each cause, returns the weights with which the rows' figures add up to what one of the cause accounts for:
/// (XᵀX)⁻¹Xᵀ. A cause that cannot be told from those before it accounts for nothing.
fn least_squares(rows: &[Causes]) -> [Vec<f64>; CAUSES] {
    // XᵀX, and to its right Xᵀ; made the identity on the left by Gauss and Jordan.
    let mut lines: [(Causes, Vec<f64>); CAUSES] = std::array::from_fn(|cause| {
        let products = std::array::from_fn(|other| rows.iter().map(|row| row[cause] * row[other]).sum());
        (products, rows.iter().map(|row| row[cause]).collect())
    });
    for cause in 0..CAUSES {
        let all: f64 = rows.iter().map(|row| row[cause] * row[cause]).sum();
        let pivot = lines[cause].0[cause];
        if pivot <= all * INDISTINCT {
            lines[cause].0.fill(0.0);
            lines[cause].1.fill(0.0);
            for (left, _) in &mut lines {
                left[cause] = 0.0;
            }
            continue;
        }
        let line = &mut lines[cause];
        line.0.iter_mut().chain(&mut line.1).for_each(|value| *value /= pivot);
        let (left, right) = line.clone();
        for (_, (other_left, other_right)) in
            lines.iter_mut().enumerate().filter(|(other, _)| *other != cause)
        {
            let factor = other_left[cause];
            let values = other_left.iter_mut().chain(other_right);
            values.zip(left.iter().chain(&right)).for_each(|(value, line)| *value -= factor * line);
        }
    }
    lines.map(|(_, weights)| weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a window in which a second carries 5 messages, a look into an outbox 2, and one for deadlines 3.
    fn window(seconds: f64, unpublished: f64, due: f64) -> Window {
        let store_calls = [("unpublished".to_owned(), unpublished), ("due".to_owned(), due)].into();
        let nats_messages_in = 5.0 * seconds + 2.0 * unpublished + 3.0 * due;
        Window { seconds, carried: Carried { nats_messages_in, store_calls, ..Carried::default() } }
    }

    fn messages_beyond(pieces: &[Window], window: &Window) -> String {
        let beyond = Background::of(pieces).beyond(window).nats_messages_in;
        format!("{:.3}", beyond.abs())
    }

    #[test]
    fn what_bursts_carry_is_told_from_what_a_second_does() {
        let pieces = [
            window(2.0, 512.0, 0.0),
            window(2.0, 768.0, 0.0),
            window(2.0, 512.0, 1024.0),
            window(2.1, 512.0, 1.0),
        ];
        for own in [window(1.0, 0.0, 0.0), window(4.0, 100.0, 0.0), window(60.0, 9000.0, 4096.0)] {
            assert_eq!(messages_beyond(&pieces, &own), "0.000");
        }
    }

    #[test]
    fn pieces_that_are_too_much_alike_leave_everything_to_time() {
        let pieces = [window(2.0, 512.0, 0.0), window(2.0, 512.0, 0.0)];
        assert_eq!(messages_beyond(&pieces, &window(4.0, 1024.0, 0.0)), "0.000");
        // A call of which there was none in the pieces is taken for something new.
        assert_eq!(messages_beyond(&pieces, &window(4.0, 1024.0, 2.0)), "6.000");
    }
}
