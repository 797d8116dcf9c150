//! What tests of any crate share: a settable clock, builders.
