//! Replies and statuses as JSON, read as strictly as the protocol writes them.

use std::time::Duration;

use rollcall_client::{General, UserStatus};
use serde_json::Value;

/// The reply to one call.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The id of the call.
    pub id: u32,
    /// 0 for success, else a code of SPEC K.
    pub code: i32,
    /// What was wrong and what was expected.
    pub message: String,
    body: Value,
}

impl Reply {
    pub(super) fn of(body: Value) -> Self {
        // Proto3 JSON leaves zeros and empty texts out.
        let number = |field: &str| body.get(field).map_or(0, |value| value.as_i64().expect("a number"));
        Self {
            id: u32::try_from(number("id")).expect("a call's id"),
            code: i32::try_from(number("code")).expect("a code"),
            message: body.get("message").map_or("", |text| text.as_str().expect("a text")).to_owned(),
            body,
        }
    }

    /// Checks that the call succeeded.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "most calls are only to succeed")]
    pub fn ok(self) -> Self {
        assert_eq!((self.code, self.message.as_str()), (0, ""), "the call was refused: {}", self.body);
        self
    }

    /// Checks that the call was refused with a code, in words and without a result.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "most refusals are only to be refusals")]
    pub fn refused(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.body);
        assert!(!self.message.is_empty(), "a refusal says what was wrong: {}", self.body);
        let known = ["id", "code", "message", "retryAfterMs"];
        let fields = self.body.as_object().expect("a reply is an object").keys();
        let more: Vec<_> = fields.filter(|field| !known.contains(&field.as_str())).collect();
        assert!(more.is_empty(), "a refusal carries no result: {}", self.body);
        self
    }

    /// Returns in what time a call that was refused may be made again, if it says so.
    #[track_caller]
    pub fn retry_after(&self) -> Option<Duration> {
        let wait = self.body.get("retryAfterMs")?;
        Some(Duration::from_millis(wait.as_u64().expect("a number that is not negative")))
    }

    /// Returns what the call of this name returned.
    #[track_caller]
    pub fn result(&self, call: &str) -> &Value {
        self.body.get(call).unwrap_or_else(|| panic!("no result of {call}: {}", self.body))
    }

    /// Returns the own status in the reply to a login or to a set.
    #[track_caller]
    pub fn status(&self) -> UserStatus {
        let result = self.body.get("login").or_else(|| self.body.get("setSelfStatus"));
        status(&result.unwrap_or_else(|| panic!("no own status: {}", self.body))["status"])
    }

    /// Returns the place of a login among the user's.
    #[track_caller]
    pub fn login_order(&self) -> u64 {
        let order = self.result("login")["loginOrder"].as_str().expect("64-bit numbers travel as texts");
        order.parse().expect("a number")
    }

    /// Returns the statuses in the reply to a query.
    #[track_caller]
    pub fn statuses(&self) -> Vec<UserStatus> {
        statuses(self.result("getUserStatus"))
    }

    /// Returns the ids that a query could not serve, each with its code.
    #[track_caller]
    pub fn failures(&self) -> Vec<(String, i64)> {
        let failure = |failure: &Value| {
            assert!(!failure["message"].as_str().expect("a text").is_empty(), "{failure}");
            let id = failure.get("userId").map_or("", |id| id.as_str().expect("a text"));
            (id.to_owned(), failure["code"].as_i64().expect("a code"))
        };
        self.result("getUserStatus")["failures"].as_array().into_iter().flatten().map(failure).collect()
    }

    /// Returns the ids that a subscribe pushed out.
    #[track_caller]
    pub fn evicted(&self) -> Vec<String> {
        texts(&self.result("subscribe")["evicted"])
    }

    /// Returns the listed subscriptions.
    #[track_caller]
    pub fn listed(&self) -> Vec<String> {
        texts(&self.result("listSubscriptions")["userIds"])
    }
}

/// Reads the statuses of an object that may hold some.
#[track_caller]
pub(super) fn statuses(holder: &Value) -> Vec<UserStatus> {
    holder["statuses"].as_array().into_iter().flatten().map(status).collect()
}

#[track_caller]
fn status(value: &Value) -> UserStatus {
    let general = match value["general"].as_str() {
        Some("GENERAL_STATUS_ONLINE") => General::Online,
        Some("GENERAL_STATUS_OFFLINE") => General::Offline,
        Some("GENERAL_STATUS_UNLOGINED") => General::Unlogined,
        _ => panic!("a status names ONLINE, OFFLINE or UNLOGINED: {value}"),
    };
    UserStatus {
        user_id: value["userId"].as_str().expect("a user id").parse().expect("a well-formed user id"),
        general,
        custom: value.get("custom").map_or("", |text| text.as_str().expect("a text")).to_owned(),
        // 64-bit numbers travel as texts, and zeros not at all.
        version: value
            .get("version")
            .map_or(0, |text| text.as_str().expect("a text").parse().expect("a number")),
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().expect("a text").to_owned()).collect()
}
