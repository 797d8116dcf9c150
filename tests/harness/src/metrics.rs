//! The metrics of a process, as an operator's tools read them.

use std::collections::{BTreeMap, BTreeSet};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::wait::within;

/// Asks the process whose tools' endpoint is `address`, and returns the status and the body of its answer.
pub async fn ask(address: &str, path: &str) -> (u16, String) {
    let reply = within(&format!("an answer of {path}"), async {
        let mut stream = TcpStream::connect(address).await.expect("the endpoint listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: ops\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the endpoint reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("the endpoint answers in text");
        reply
    })
    .await;
    let (head, body) = reply.split_once("\r\n\r\n").expect("the answer has headers");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), body.to_owned())
}

/// What a process counted and measured up to one moment, by name and labels as written.
#[derive(Debug, Clone)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Asks the process whose tools' endpoint is `address`.
    pub async fn read(address: &str) -> Self {
        let (status, body) = ask(address, "/metrics").await;
        assert_eq!(status, 200, "{body}");
        Self::parse(&body)
    }

    /// Reads text of `OpenMetrics`, strictly as far as ours goes: each name is described once and before its values,
    /// each value is a number and comes once, and the text ends by saying so.
    pub fn parse(text: &str) -> Self {
        let mut described = BTreeSet::new();
        let mut values = BTreeMap::new();
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("the text does not end: {text}"));
        for line in body.lines() {
            if let Some(description) = line.strip_prefix("# TYPE ") {
                let (name, kind) = description.split_once(' ').expect("a type follows its name");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(name.starts_with("rollcall_"), "{line}");
                assert!(described.insert(name.to_owned()), "described twice: {line}");
            } else if !line.starts_with("# HELP ") {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
                let name = series.split('{').next().unwrap_or_default();
                let base = ["_total", "_bucket", "_count", "_sum"];
                let base = base.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
                assert!(described.contains(base), "not described before: {line}");
                let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
                assert!(values.insert(series.to_owned(), value).is_none(), "said twice: {line}");
            }
        }
        Self(values)
    }

    /// Returns a value in whole numbers, by name and labels as written; 0 for one that is not there.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is counted is whole")]
    pub fn of(&self, series: &str) -> u64 {
        self.0.get(series).copied().unwrap_or_default() as u64
    }

    /// Lists all names and labels as written.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
