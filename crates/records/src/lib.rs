//! Read, decide, commit, publish: the one way to change a record.
