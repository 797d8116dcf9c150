//! The notifier: interest in memory, changes routed to gateways.
