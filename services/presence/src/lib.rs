//! The presence service: sessions, status, expiry, app configuration.
