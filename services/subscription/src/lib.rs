//! The subscription service: who asked to hear of whom.
