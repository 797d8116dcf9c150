//! Waiting for many things at once, with a line now and then for whoever watches.

use std::{future::Future, time::Duration};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep};

/// The time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Tells on standard error how far one piece of work has come.
#[derive(Debug)]
struct Progress {
    work: &'static str,
    next_line: Instant,
}

impl Progress {
    fn new(work: &'static str) -> Self {
        Self { work, next_line: Instant::now() + LINE_EVERY }
    }

    fn tell(&mut self, done: usize, total: usize) {
        let now = Instant::now();
        if now >= self.next_line {
            eprintln!("{}: {done} of {total}", self.work);
            self.next_line = now + LINE_EVERY;
        }
    }
}

/// Does a piece of work for each of `total` numbers, at most `parallel` at once, and stops at the first error.
pub async fn for_each<T, F: Future<Output = anyhow::Result<T>>>(
    work: &'static str,
    total: usize,
    parallel: usize,
    piece: impl FnMut(usize) -> F,
) -> anyhow::Result<Vec<T>> {
    let mut progress = Progress::new(work);
    let mut results = Vec::with_capacity(total);
    let mut pieces = stream::iter(0..total).map(piece).buffer_unordered(parallel);
    while let Some(result) = pieces.next().await {
        results.push(result?);
        progress.tell(results.len(), total);
    }
    Ok(results)
}

/// Waits until nothing is `missing` of `total`, or `limit` has passed; then the rest is the answer.
pub async fn until_none(
    work: &'static str,
    total: usize,
    limit: Duration,
    mut missing: impl FnMut() -> anyhow::Result<usize>,
) -> anyhow::Result<usize> {
    let mut progress = Progress::new(work);
    let deadline = Instant::now() + limit;
    loop {
        let left = missing()?;
        if left == 0 || Instant::now() >= deadline {
            return Ok(left);
        }
        progress.tell(total - left.min(total), total);
        sleep(POLL).await;
    }
}

/// As [`until_none`], where a rest is an error.
pub async fn until_none_or_fail(
    work: &'static str,
    total: usize,
    limit: Duration,
    missing: impl FnMut() -> anyhow::Result<usize>,
) -> anyhow::Result<()> {
    match until_none(work, total, limit, missing).await? {
        0 => Ok(()),
        left => bail!("{work}: {left} of {total} are missing after {limit:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_is_done_for_each_number_until_one_fails() {
        let mut done = for_each("work", 5, 2, |n| async move { Ok(n) }).await.unwrap();
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 3, 4]);
        for_each("work", 5, 2, |n| async move {
            anyhow::ensure!(n < 3);
            Ok(())
        })
        .await
        .unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_nothing_is_missing_or_the_limit_has_passed() {
        let limit = Duration::from_secs(1);
        let mut left = 3;
        let count_down = || {
            left -= 1;
            Ok(left)
        };
        assert_eq!(until_none("work", 3, limit, count_down).await.unwrap(), 0);
        assert_eq!(until_none("work", 3, limit, || Ok(2)).await.unwrap(), 2);
        let error = until_none_or_fail("work", 3, limit, || Ok(2)).await.unwrap_err();
        assert_eq!(error.to_string(), "work: 2 of 3 are missing after 1s");
    }
}
