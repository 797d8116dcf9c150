//! The binary `rollcall-notifier`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rollcall_process::main::<rollcall_notifier::Service>()
}
