//! Random commands, to this bus and to the one in memory.

use proptest::{
    option,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use rollcall_testkit::NatsServer;

use super::given::connect;
use crate::{
    MemoryBus,
    contract::{
        Tested, clock,
        twins::{self, Command},
    },
};

/// How many runs of up to 40 commands are played.
const RUNS: u32 = 48;

#[test]
fn any_run_of_commands_is_replied_to_as_by_the_bus_in_memory() {
    let server = NatsServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { source_file: Some(file!()), ..Config::with_cases(RUNS) };
    let commands = prop::collection::vec(command(), 1..40);
    let run = TestRunner::new(config).run(&commands, |commands| {
        runtime.block_on(async {
            let nats = connect(&server, "node").await;
            twins::agree(Tested::new(nats), Tested::new(MemoryBus::new(clock())), &commands).await;
        });
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

fn command() -> impl Strategy<Value = Command> {
    let publish =
        (0..4_u16, option::of(0..9_u64)).prop_map(|(partition, trace)| Command::Publish { partition, trace });
    prop_oneof![
        6 => publish,
        2 => Just(Command::Subscribe),
        3 => (0..4_usize).prop_map(|subscriber| Command::Read { subscriber }),
        1 => (0..4_usize).prop_map(|subscriber| Command::Unsubscribe { subscriber }),
        1 => Just(Command::Serve),
        1 => (0..4_usize).prop_map(|server| Command::Leave { server }),
        3 => Just(Command::Ask),
        2 => (0..30_u64).prop_map(|back| Command::Replay { back }),
    ]
}
