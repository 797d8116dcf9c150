//! The playground as those see it who use it.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rollcall_harness::{Process, Rollcall, eventually};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{browser, devtools::DevTools};

/// The page in a browser, before a `rollcall` with the profile `fast`. Dropping it ends both.
#[derive(Debug)]
pub struct Playground {
    // Before the folder that it writes to.
    browser: Process,
    devtools: DevTools,
    rollcall: Rollcall,
}

/// A status as a user's panel shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Shown {
    /// ONLINE, OFFLINE or UNLOGINED.
    pub general: String,
    /// The custom status, escaped.
    pub custom: String,
    /// The version.
    pub version: u64,
}

/// A line in a user's list of frames.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// `sent`, `received`, or `note` where it tells something of the connection.
    pub way: String,
    /// What the frame is, or what happened, with a count where equal ones share the line.
    pub kind: String,
    /// The frame as JSON; empty for a note.
    pub json: String,
    /// When it passed last, in milliseconds since 1970.
    pub at: u64,
}

impl Playground {
    /// Starts a demo, and opens its page.
    pub async fn start() -> Self {
        let rollcall = Rollcall::builder().demo().start().await;
        let (browser, devtools) = browser::start(rollcall.folder()).await;
        let mut playground = Self { browser, devtools, rollcall };
        let address = playground.rollcall.addresses().client().to_owned();
        playground.visit(&address).await;
        playground
    }

    /// Returns the `rollcall` behind the page.
    pub fn rollcall(&self) -> &Rollcall {
        &self.rollcall
    }

    /// Opens the page that is shown at an address.
    pub async fn visit(&mut self, address: &str) {
        self.devtools.call("Page.navigate", json!({ "url": format!("http://{address}/") })).await;
        let ready = "() => document.readyState === 'complete' && document.querySelector('#bob') !== null";
        eventually("the page to be there", async || self.run(ready, json!([])).await == true).await;
    }

    /// Clicks one of a user's buttons, by what it does, once it can be clicked.
    pub async fn click(&mut self, user: &str, action: &str) {
        let click = "(user, action) => {
            const named = document.querySelector(`#${user} [data-do=${action}]`);
            const button = named.tagName === 'FORM' ? named.querySelector('button') : named;
            // A click on a button that is disabled does nothing, and one that is done may disable it.
            const can = !button.disabled;
            button.click();
            return can;
        }";
        let what = format!("{action} of {user} to be possible");
        eventually(&what, async || self.run(click, json!([user, action])).await == true).await;
    }

    /// Says whether one of a user's buttons can be clicked.
    pub async fn can(&mut self, user: &str, action: &str) -> bool {
        let enabled =
            "(user, action) => !document.querySelector(`#${user} button[data-do=${action}]`).disabled";
        self.run(enabled, json!([user, action])).await == true
    }

    /// Writes into one of a user's fields.
    pub async fn write(&mut self, user: &str, field: &str, text: &str) {
        let write = "(user, field, text) => {
            document.querySelector(`#${user} [name=${field}]`).value = text;
        }";
        self.run(write, json!([user, field, text])).await;
    }

    /// Logs a user in, and waits until that is so.
    pub async fn log_in(&mut self, user: &str) {
        self.click(user, "login").await;
        self.reads(user, ".connection", "connected").await;
    }

    /// Waits until a user's panel shows a status of a user, and returns it.
    pub async fn sees(&mut self, user: &str, of: &str, general: &str, custom: &str) -> Shown {
        let mut shown = None;
        eventually(&format!("{user} to see {of} {general} with {custom:?}"), async || {
            shown = self.status(user, of).await;
            shown.as_ref().is_some_and(|shown| shown.general == general && shown.custom == custom)
        })
        .await;
        shown.expect("just seen")
    }

    /// Returns the status of a user that a user's panel shows.
    pub async fn status(&mut self, user: &str, of: &str) -> Option<Shown> {
        let status = "(user, of) => {
            const row = document.querySelector(`#${user} tr[data-user=\"${of}\"]`);
            const text = (part) => row.querySelector(part).textContent;
            return row && { general: text('.general'), custom: text('.custom'), version: Number(text('.version')) };
        }";
        let status = self.run(status, json!([user, of])).await;
        serde_json::from_value(status).expect("a status has three parts")
    }

    /// Waits until a part of a user's panel, named by a selector, begins with a text; returns all of it.
    pub async fn reads(&mut self, user: &str, part: &str, start: &str) -> String {
        let mut text = String::new();
        eventually(&format!("{part} of {user} to begin with {start:?}"), async || {
            text = self.text(user, part).await;
            text.starts_with(start)
        })
        .await;
        text
    }

    /// Returns the text of a part of a user's panel; empty where there is no such part.
    pub async fn text(&mut self, user: &str, part: &str) -> String {
        let text = "(user, part) => document.querySelector(`#${user} ${part}`)?.textContent ?? ''";
        self.run(text, json!([user, part])).await.as_str().expect("a text").to_owned()
    }

    /// Returns the list of a user's frames, newest first.
    pub async fn frames(&mut self, user: &str) -> Vec<Line> {
        let frames = "(user) => [...document.querySelectorAll(`#${user} li`)].map((line) => ({
            way: line.className,
            kind: line.querySelector('span').textContent,
            json: line.querySelector('code')?.textContent ?? '',
            at: Date.parse(line.querySelector('time').dateTime),
        }))";
        let frames = self.run(frames, json!([user])).await;
        serde_json::from_value(frames).expect("a line has four parts")
    }

    /// Calls a function of JavaScript in the page with arguments, and returns its result.
    pub async fn run(&mut self, function: &str, arguments: Value) -> Value {
        self.devtools.run(function, arguments).await
    }

    /// Gives the window another width, in pixels, and a look: `light` or `dark`. It is as high as its content.
    pub async fn look(&mut self, width: u32, scheme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools.call("Emulation.setEmulatedMedia", media).await;
        // First low, so that the height that follows is the content's.
        self.resize(width, 1).await;
        let height = self.run("() => document.documentElement.scrollHeight", json!([])).await;
        self.resize(width, height.as_u64().expect("a height")).await;
    }

    /// Writes a picture of the window to a file, as PNG.
    pub async fn picture(&mut self, path: &Path) {
        let shot = self.devtools.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let png = STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64");
        fs::write(path, png).expect("a picture can be written");
    }

    /// Returns what the page has complained of so far: exceptions that nobody caught, and errors in its log.
    pub fn complaints(&self) -> &[String] {
        self.devtools.complaints()
    }

    /// Ends the browser, and fails if the page has complained of anything.
    pub async fn end(mut self) {
        assert_eq!(self.complaints(), [""; 0], "the page complained");
        self.devtools.call("Browser.close", json!({})).await;
        eventually("the browser to end", async || self.browser.ended().is_some()).await;
    }

    async fn resize(&mut self, width: u32, height: u64) {
        // Two pixels of the picture for each of the page: it is looked at on fine screens, too.
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": false });
        self.devtools.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }
}
