//! Tests of the tree's own rules.
