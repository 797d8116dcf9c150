//! The gateway: client connections, watchers, last shown statuses.
