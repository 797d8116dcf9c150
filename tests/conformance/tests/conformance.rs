//! The chapters of SPEC as one test binary.

mod a_general_status;
mod b_custom_status;
mod bad_input;
mod c_query;
mod d_subscribe;
mod e_unsubscribe;
mod edge;
mod f_friends;
mod f_notification;
mod frame_limits;
mod g_app;
mod grpc;
mod h_login;
mod h_policies;
mod h_tokens;
mod i_friend_import;
mod i_friends;
mod k_codes;
mod l_sdk;
mod metrics;
mod peers;
mod processes;
mod strange_ids;
mod traces;
mod windows;
