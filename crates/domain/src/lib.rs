//! The rules of user status: ids, codes, the user state machine, the subscription list. Pure.
