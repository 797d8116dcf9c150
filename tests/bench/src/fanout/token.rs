//! Tokens as an app's backend would issue them.

use std::time::Duration;

use rollcall_harness::token;
use serde_json::json;

/// Longer than any run.
const LIFETIME: Duration = Duration::from_hours(24);

/// Issues a token for a user.
pub(super) fn issue(key: &str, app_id: u32, user_id: &str) -> String {
    let now = token::now();
    let claims =
        json!({ "sub": user_id, "aud": app_id.to_string(), "iat": now, "exp": now + LIFETIME.as_secs() });
    token::jwt("HS256", &claims, key.as_bytes())
}
