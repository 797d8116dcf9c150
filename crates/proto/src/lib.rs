//! The wire: generated code, and the only conversions between wire, records and domain.
