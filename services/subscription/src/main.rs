//! The binary `rollcall-subscription`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rollcall_process::main::<rollcall_subscription::Service>()
}
