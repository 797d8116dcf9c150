//! The playground: the page that a demo shows at the gateway's own address, a client of two users beside each other.
//!
//! It is one file, `playground.html`, without a build step and without anything from elsewhere. It gets the demo's tokens,
//! so that it is shown in a demo only; its policy lets it run its own script, and speak with its own host.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rollcall_gateway::Page;
use serde::Serialize;
use serde_json::Value;

use crate::demo::{Demo, Tokens};

const HTML: &str = include_str!("playground.html");
/// Where [`Data`] goes in it.
const DATA: &str = "{{demo}}";

/// What the page knows from the start.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    app_id: u32,
    /// How long a client may be silent, in milliseconds. No frame tells it.
    expiry_ms: u64,
    tokens: &'a Tokens,
}

/// Shows the playground of a demo whose sessions expire after so much silence.
pub(crate) fn show(page: &Page, demo: &Demo, expiry: Duration) {
    let expiry_ms = u64::try_from(expiry.as_millis()).unwrap_or(u64::MAX);
    let data = Data { app_id: demo.app_id, expiry_ms, tokens: &demo.tokens };
    page.set(HTML.replace(DATA, &embedded(&serde_json::json!(data))), policy(HTML));
}

/// Writes JSON so that it can stand in HTML: what could end its element is escaped.
fn embedded(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c")
}

/// Says what the page may do: use its own style and script, which are told by their hashes, its icon, and connections
/// to its own host.
fn policy(html: &str) -> String {
    let style = hash(between(html, "<style>", "</style>"));
    let script = hash(between(html, "<script>", "</script>"));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn hash(text: &str) -> String {
    STANDARD.encode(digest(&SHA256, text.as_bytes()))
}

/// Returns what stands between two texts; empty if one of them is missing.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_style_one_script_one_place_for_its_data_and_nothing_from_elsewhere() {
        for once in ["<style>", "</style>", "<script>", DATA] {
            assert_eq!(HTML.matches(once).count(), 1, "{once}");
        }
        for elsewhere in ["src=", "href=\"http", "@import", "innerHTML", "style=\"", "onclick"] {
            assert!(!HTML.contains(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn the_policy_has_the_hashes_of_style_and_script() {
        // The hash of an example in CSP Level 3, section 8.3.
        let policy = policy("<style>alert('Hello, world.');</style><script>alert('Hello, world.');</script>");
        let example = "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='";
        assert!(policy.contains(&format!("style-src {example}; script-src {example};")), "{policy}");
    }

    #[test]
    fn data_cannot_end_its_element() {
        let data = serde_json::json!({ "token": "</script><script>alert(1)" });
        let text = embedded(&data);
        assert!(!text.contains('<'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), data);
    }
}
