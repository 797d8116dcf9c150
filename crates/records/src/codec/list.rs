//! The record of a subscription list: its ids, least recently subscribed first.

use bytes::Bytes;
use prost::Message as _;
use rollcall_domain::{id::UserId, subscription::SubscriptionList};

use super::Error;

#[derive(Clone, PartialEq, prost::Message)]
struct StoredList {
    #[prost(string, repeated, tag = "1")]
    ids: Vec<String>,
}

/// Writes a subscription list.
pub(crate) fn encode(list: &SubscriptionList) -> Bytes {
    let ids = list.ids().iter().map(|id| id.as_str().to_owned()).collect();
    StoredList { ids }.encode_to_vec().into()
}

/// Reads a subscription list.
pub(crate) fn decode(value: Bytes) -> Result<SubscriptionList, Error> {
    let stored = StoredList::decode(value)?;
    let ids = stored.ids.iter().map(|id| UserId::new(id).map_err(|error| Error::field("user id", &error)));
    Ok(SubscriptionList::from_ids(ids.collect::<Result<_, _>>()?))
}
