//! W3C trace context: the one header that travels in client frames, gRPC metadata, outbox entries and bus
//! headers.

/// The name of the header, in gRPC metadata and on the bus.
pub const TRACEPARENT: &str = "traceparent";

/// A well-formed `traceparent`, or none.
///
/// Source: W3C Trace Context, section 3.2: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not all zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceParent(Option<Box<str>>);

impl TraceParent {
    /// Takes the text if it is well-formed, and none if it is not: a broken trace never fails a call.
    pub fn parse(text: &str) -> Self {
        Self(is_well_formed(text).then(|| text.into()))
    }

    /// Reads it from the metadata of a gRPC request.
    pub fn from_metadata(metadata: &tonic::metadata::MetadataMap) -> Self {
        metadata.get(TRACEPARENT).and_then(|value| value.to_str().ok()).map(Self::parse).unwrap_or_default()
    }

    /// Wraps a message into a gRPC request that carries it.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(value) = self.0.as_deref().and_then(|text| text.parse().ok()) {
            request.metadata_mut().insert(TRACEPARENT, value);
        }
        request
    }

    /// Says whether the trace is sampled: whoever follows it makes spans.
    pub fn is_sampled(&self) -> bool {
        // The last of the two digits of flags holds the lowest four.
        let flags = self.0.as_deref().and_then(|text| text.bytes().last());
        flags.is_some_and(|digit| char::from(digit).to_digit(16).is_some_and(|flags| flags & 1 == 1))
    }

    /// Returns the text; empty means none.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

fn is_well_formed(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else { return false };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    *version == "00"
        && hex(trace, 32)
        && hex(span, 16)
        && hex(flags, 2)
        && trace.bytes().any(|b| b != b'0')
        && span.bytes().any(|b| b != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_well_formed_traceparent_survives_grpc() {
        let request = TraceParent::parse(GOOD).request(());
        assert_eq!(TraceParent::from_metadata(request.metadata()).as_str(), GOOD);
    }

    #[test]
    fn a_trace_is_sampled_by_its_lowest_flag() {
        let sampled = |flags: &str| TraceParent::parse(&format!("{}{flags}", &GOOD[..53])).is_sampled();
        assert!(sampled("01") && sampled("ff"));
        assert!(!sampled("00") && !sampled("02") && !TraceParent::default().is_sampled());
    }

    #[test]
    fn a_malformed_traceparent_is_none() {
        let zero_trace = GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        for bad in ["", "00", &GOOD[..54], &GOOD.to_uppercase(), &zero_trace, "zz-a-b-c"] {
            assert_eq!(TraceParent::parse(bad), TraceParent::default(), "{bad}");
        }
    }
}
