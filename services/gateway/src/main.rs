//! The binary `rollcall-gateway`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rollcall_process::main::<rollcall_gateway::Service>()
}
