//! Calls that are sent once more because no answer came. They count against no window: the first may have counted.

use tonic::metadata::{MetadataMap, MetadataValue};

/// The name of the mark in gRPC metadata.
const AGAIN: &str = "rollcall-again";

/// Marks a call as sent once more.
pub fn mark(metadata: &mut MetadataMap) {
    metadata.insert(AGAIN, MetadataValue::from_static("1"));
}

/// Says whether a call is marked.
pub fn is_marked(metadata: &MetadataMap) -> bool {
    metadata.contains_key(AGAIN)
}
