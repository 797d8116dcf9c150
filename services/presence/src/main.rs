//! The binary `rollcall-presence`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rollcall_process::main::<rollcall_presence::Service>()
}
