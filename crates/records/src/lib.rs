//! Typed records over the store.
