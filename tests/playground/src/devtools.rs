//! The DevTools protocol, as far as a page is driven by it: JSON over a WebSocket, calls with an id and their replies,
//! and events between them.
//!
//! Source: the Chrome DevTools Protocol, domains Browser, Target, Page, Runtime, Log and Emulation.

use futures_util::{SinkExt as _, StreamExt as _};
use rollcall_harness::within;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// A connection to a browser, attached to one page of it.
#[derive(Debug)]
pub(crate) struct DevTools {
    socket: WebSocketStream<TcpStream>,
    /// The page; `None` before one is attached.
    session: Option<String>,
    last_id: u64,
    complaints: Vec<String>,
}

impl DevTools {
    /// Connects to the browser at `address`, and opens an empty page in it.
    pub(crate) async fn connect(address: &str, path: &str) -> Self {
        let stream = within("a connection to the browser", TcpStream::connect(address)).await;
        let stream = stream.expect("the browser listens");
        let handshake = client_async(format!("ws://{address}{path}"), stream);
        let (socket, _) =
            within("the browser's handshake", handshake).await.expect("the browser shakes hands");
        let mut devtools = Self { socket, session: None, last_id: 0, complaints: Vec::new() };
        let target = devtools.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = devtools.call("Target.attachToTarget", attach).await;
        devtools.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            devtools.call(&format!("{domain}.enable"), json!({})).await;
        }
        devtools
    }

    /// Calls a method, and returns its result.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut call = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(call.to_string())).await.expect("the browser is there");
        let mut reply = within(&format!("the reply to {method}"), self.reply(id)).await;
        assert_eq!(reply.get("error"), None, "{method} failed");
        reply["result"].take()
    }

    /// Calls a function of JavaScript in the page, and returns its result. What it throws fails the test.
    pub(crate) async fn run(&mut self, function: &str, arguments: Value) -> Value {
        let expression = format!("({function})(...{arguments})");
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut evaluated = self.call("Runtime.evaluate", parameters).await;
        assert_eq!(evaluated.get("exceptionDetails"), None, "{expression} threw");
        evaluated["result"]["value"].take()
    }

    /// Returns what the page has complained of so far: exceptions that nobody caught, and errors in its log.
    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    async fn reply(&mut self, id: u64) -> Value {
        loop {
            let message = self.socket.next().await.expect("the browser is there").expect("a message comes");
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("the browser speaks JSON");
            if message["id"] == id {
                return message;
            }
            self.note(&message);
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(parameters["exceptionDetails"].to_string());
            }
            Some("Log.entryAdded") if parameters["entry"]["level"] == "error" => {
                self.complaints.push(parameters["entry"].to_string());
            }
            _ => {}
        }
    }
}
