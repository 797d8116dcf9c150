//! The audit log on the wire.

use rollcall_domain::{
    code::{Code, Refusal},
    id::AppId,
};
use rollcall_proto::{
    admin::v1::{
        AppCreated, AuditEntry as WireEntry, ListAuditEntriesRequest, ListAuditEntriesResponse,
        SettingsChanged, audit_entry::Deed as WireDeed,
    },
    convert,
};
use rollcall_records::{AuditEntry, AuditPage, Deed};

use super::key_to_wire;

/// The greatest number of entries in one answer, which is some 30 KiB then.
const PAGE_MAX: u32 = 100;
/// The number of entries where none is named.
const PAGE: u32 = 50;

/// Reads which part is asked for: the app, before which sequence, and how many entries.
pub(super) fn page(request: &ListAuditEntriesRequest) -> Result<(AppId, Option<u64>, usize), Refusal> {
    let app = convert::app_id(request.app_id)?;
    let size = match request.page_size {
        0 => PAGE,
        size if size <= PAGE_MAX => size,
        size => {
            return Err(invalid(format!("page_size is {size}, expected 1 to {PAGE_MAX}, or 0 for {PAGE}")));
        }
    };
    let before = match request.page_token.as_str() {
        "" => None,
        token => Some(token.parse().map_err(|_| {
            invalid("page_token is malformed, expected the next_page_token of an answer".to_owned())
        })?),
    };
    Ok((app, before, usize::try_from(size).unwrap_or_default()))
}

/// Writes a part of the log of an app.
pub(super) fn to_wire(app: AppId, page: AuditPage) -> ListAuditEntriesResponse {
    let entries = page.entries.into_iter().map(|entry| entry_to_wire(app, entry)).collect();
    let next_page_token = page.next.map(|next| next.to_string()).unwrap_or_default();
    ListAuditEntriesResponse { entries, next_page_token }
}

fn entry_to_wire(app: AppId, entry: AuditEntry) -> WireEntry {
    let AuditEntry { sequence, at, who, before, after, deed } = entry;
    let settings = |settings, version| Some(convert::settings_to_wire(app, settings, version));
    let deed = match &deed {
        Deed::Created(created, keys) => WireDeed::Created(AppCreated {
            app: settings(created, after.0),
            keys: keys.iter().cloned().map(key_to_wire).collect(),
        }),
        Deed::Changed(old, new) => WireDeed::Changed(SettingsChanged {
            before: settings(old, before.0),
            after: settings(new, after.0),
        }),
        Deed::KeyAdded(key) => WireDeed::KeyAdded(key_to_wire(key.clone())),
        Deed::KeyRemoved(key) => WireDeed::KeyRemoved(key_to_wire(key.clone())),
    };
    WireEntry { sequence, at: at.0, who, version_before: before.0, version_after: after.0, deed: Some(deed) }
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::InvalidParameter, message)
}
