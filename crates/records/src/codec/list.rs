//! The record of a list of users: their ids, in the list's order.

use bytes::Bytes;
use prost::Message as _;
use rollcall_domain::id::UserId;

use super::Error;

#[derive(Clone, PartialEq, prost::Message)]
struct StoredList {
    #[prost(string, repeated, tag = "1")]
    ids: Vec<String>,
}

/// Writes the ids of a list.
pub(crate) fn encode<'a>(ids: impl IntoIterator<Item = &'a UserId>) -> Bytes {
    let ids = ids.into_iter().map(|id| id.as_str().to_owned()).collect();
    StoredList { ids }.encode_to_vec().into()
}

/// Reads the ids of a list.
pub(crate) fn decode(value: Bytes) -> Result<Vec<UserId>, Error> {
    let stored = StoredList::decode(value)?;
    let ids = stored.ids.iter().map(|id| UserId::new(id).map_err(|error| Error::field("user id", &error)));
    ids.collect()
}
