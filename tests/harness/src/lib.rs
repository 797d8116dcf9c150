//! Starts and stops real processes for tests.
