//! Windows: a key for each that lasts as long as its last call counts, and one script.

use std::time::Duration;

use redis::Cmd;
use rollcall_domain::time::Timestamp;

use super::{Shared, keys, script::Script};
use crate::port::{Admission, Error, Window};

impl Shared {
    /// Allows a call and counts it, or says when one would be allowed.
    pub(super) async fn window(
        &self,
        window: &Window,
        limit: u32,
        span: Duration,
    ) -> Result<Admission, Error> {
        let partition = self.options.partitions.of(window.app, Some(&window.user));
        let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).clamp(1, SPAN_MAX);
        let fill = |command: &mut Cmd| {
            command.arg(1).arg(keys::window(partition, window)).arg(limit).arg(span);
        };
        let (at, wait): (u64, u64) = self.connection.run(Script::Window, fill).await?;
        let retry_after = (wait > 0).then(|| Duration::from_micros(wait));
        Ok(Admission { at: Timestamp(at), retry_after })
    }
}

/// The longest span in µs: a day, far from where the script's numbers lose digits.
const SPAN_MAX: u64 = 86_400_000_000;
