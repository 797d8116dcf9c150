//! A page that a gateway shows to browsers at `/`, where without one nothing is.
//!
//! The gateway does not know what the page is for. It sees to it that the page stays in the browser that asked for it: no
//! cache keeps it, no other page frames it, and it is shown under an address or as `localhost` only, so that no page of a
//! host whose name was made to lead here reads it (DNS rebinding).

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    http::{HeaderMap, StatusCode, header, uri::Authority},
    response::{IntoResponse, Response},
};

/// A page, shown once it is [`set`](Self::set). Clones are the same page.
#[derive(Debug, Clone, Default)]
pub struct Page(Arc<OnceLock<Content>>);

#[derive(Debug)]
struct Content {
    html: String,
    policy: String,
}

impl Page {
    /// Sets what is shown: HTML, and the `Content-Security-Policy` that says what it may load and do. The first one
    /// that is set stays.
    pub fn set(&self, html: String, policy: String) {
        let _ = self.0.set(Content { html, policy });
    }

    /// Answers a request for the page.
    pub(crate) fn show(&self, headers: &HeaderMap) -> Response {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !is_own(host) {
            let message =
                "the page is shown under an address only, expected a host as 127.0.0.1 or localhost\n";
            return (StatusCode::MISDIRECTED_REQUEST, message).into_response();
        }
        let Some(Content { html, policy }) = self.0.get() else {
            return (StatusCode::SERVICE_UNAVAILABLE, "the page is not there yet, try again\n")
                .into_response();
        };
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ];
        (headers, html.clone()).into_response()
    }
}

/// Says whether a `Host` is one that nobody else can let lead here.
fn is_own(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|authority| {
        let host = authority.host();
        host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: &Page, host: &str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        page.show(&headers)
    }

    fn set_page() -> Page {
        let page = Page::default();
        page.set("<p>hello".to_owned(), "default-src 'none'".to_owned());
        page
    }

    #[test]
    fn a_page_is_shown_once_it_is_set_and_no_cache_keeps_it() {
        assert_eq!(shown(&Page::default(), "127.0.0.1:7700").status(), StatusCode::SERVICE_UNAVAILABLE);
        let response = shown(&set_page(), "127.0.0.1:7700");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-security-policy"], "default-src 'none'");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }

    // ATTACK X5
    #[test]
    fn a_page_is_shown_under_an_address_or_as_localhost_only() {
        let page = set_page();
        for own in ["127.0.0.1:7700", "localhost", "localhost:7700", "[::1]:7700", "192.168.0.7:80"] {
            assert_eq!(shown(&page, own).status(), StatusCode::OK, "{own}");
        }
        for foreign in ["evil.example:7700", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
            assert_eq!(shown(&page, foreign).status(), StatusCode::MISDIRECTED_REQUEST, "{foreign}");
        }
        assert_eq!(page.show(&HeaderMap::new()).status(), StatusCode::MISDIRECTED_REQUEST);
    }
}
