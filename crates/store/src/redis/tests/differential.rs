//! Random commands, to this store and to others.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use proptest::test_runner::{Config, TestRunner};
use rollcall_domain::time::Timestamp;
use rollcall_testkit::RedisServer;

use super::given::options;
use crate::{
    MemoryStore, RedisStore,
    contract::{
        Tested,
        commands::{Command, strategy::commands},
        model, twins,
    },
    partition::Partitions,
};

/// How many runs of up to 40 commands are played.
const RUNS: u32 = 64;

#[test]
fn any_run_of_commands_agrees_with_the_model() {
    for_any_run(async |redis, commands| model::agrees(redis, &commands).await);
}

#[test]
fn any_run_of_commands_is_replied_to_as_by_the_store_in_memory() {
    for_any_run(async |redis, commands| {
        let now = AtomicU64::new(1_767_225_600_000_000);
        let clock = Arc::new(move || Timestamp(now.fetch_add(1, Ordering::Relaxed)));
        let memory = MemoryStore::new(Partitions::EMBEDDED, clock);
        twins::agree(redis, Tested::new(memory), &commands).await;
    });
}

/// Gives each run an empty store, all on one server.
fn for_any_run(claim: impl AsyncFn(Tested, Vec<Command>)) {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { source_file: Some(file!()), ..Config::with_cases(RUNS) };
    let run = TestRunner::new(config).run(&commands(), |commands| {
        runtime.block_on(async {
            server.operate(&["FLUSHALL"]);
            let store = RedisStore::connect(&server.url(), options()).await.unwrap();
            claim(Tested::new(store), commands).await;
        });
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}
