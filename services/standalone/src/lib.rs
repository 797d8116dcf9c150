//! The binary rollcall: all four services in one process.
