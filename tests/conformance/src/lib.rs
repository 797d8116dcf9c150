//! Tests of every SPEC clause, from outside.
