//! The feed of every change, while processes and the bus are killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rollcall_faults::{Ring, cluster};
use rollcall_harness::{App, Rollcall, eventually};
use rollcall_proto::{
    event::v1::{
        ChangeKind, Event, FollowRequest, FollowResponse, event_service_client::EventServiceClient,
        follow_request::Start, follow_response::Told,
    },
    role::Role,
};
use tokio::task::JoinHandle;
use tonic::{Status, transport::Channel};

/// What a follower was brought.
#[derive(Debug, Default)]
struct Brought {
    /// Of each user the statuses in the order in which they came: version, the one before, and what it says.
    statuses: BTreeMap<String, Vec<(u64, u64, String)>>,
    gaps: Vec<String>,
    position: u64,
    /// How often the feed was lost.
    lost: usize,
}

impl Brought {
    fn take(&mut self, FollowResponse { position, told }: FollowResponse) {
        self.position = position;
        match told {
            Some(Told::Event(Event { change: Some(change), .. })) if change.kind() == ChangeKind::Status => {
                let status = (change.status_version, change.previous_status_version, change.custom);
                let statuses = self.statuses.entry(change.user_id).or_default();
                // A change may be brought again by another notifier.
                if !statuses.contains(&status) {
                    statuses.push(status);
                }
            }
            Some(Told::Gap(gap)) => self.gaps.push(format!("{gap:?}")),
            _ => {}
        }
    }
}

/// Follows an app at one notifier after the other, from the position on that was told last.
fn follow(rollcall: &Rollcall, app: &App) -> (Arc<Mutex<Brought>>, JoinHandle<()>) {
    let certs = rollcall.addresses().certs.as_ref().expect("a cluster has certificates");
    let notifiers = rollcall.grpc().filter(|(service, _)| *service == "notifier");
    let channels: Vec<Channel> = notifiers
        .map(|(_, address)| certs.channel(Role::Notifier, address, Some((certs, Role::Backend))))
        .collect();
    let (brought, app_id) = (Arc::new(Mutex::new(Brought::default())), app.id);
    let task = tokio::spawn({
        let brought = Arc::clone(&brought);
        async move {
            for channel in channels.iter().cycle() {
                // However it ends, the next one goes on.
                let lost = read(channel.clone(), app_id, &brought).await;
                eprintln!("the feed was lost: {lost:?}");
                brought.lock().lost += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    (brought, task)
}

async fn read(channel: Channel, app_id: u32, brought: &Mutex<Brought>) -> Result<(), Status> {
    let start = Some(Start::After(brought.lock().position));
    let request = FollowRequest { app_id, start, kinds: vec![] };
    let mut answers = EventServiceClient::new(channel).follow(request).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        brought.lock().take(answer);
    }
    Ok(())
}

// FAULT 6, SPEC J4
#[tokio::test]
async fn every_stored_status_is_brought_and_in_order_whoever_is_killed() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let (brought, task) = follow(&rollcall, &app);
    let ring = Ring::start(&rollcall, &app, 10).await;
    let mut said = BTreeSet::new();
    for service in ["presence", "notifier"] {
        for number in 0..2 {
            let text = format!("while {service} {number} dies");
            let kill = async { rollcall.process(service, number).kill() };
            tokio::join!(ring.say(&text), kill);
            said.insert(text);
            rollcall.start_again(service, number).await;
        }
    }
    let text = "while the bus dies".to_owned();
    let restart = async {
        let nats = &mut rollcall.engines().nats;
        nats.kill();
        nats.restart();
    };
    tokio::join!(ring.say(&text), restart);
    said.insert(text);
    ring.say("at last").await;
    said.insert("at last".to_owned());

    for user in &ring.users {
        eventually(&format!("all that {} said", user.name), async || {
            let brought = brought.lock();
            let texts = brought.statuses.get(&user.name).into_iter().flatten().map(|(.., text)| text);
            said.is_subset(&texts.cloned().collect())
        })
        .await;
    }
    let brought = brought.lock();
    assert_eq!(brought.gaps, [""; 0]);
    assert!(brought.lost >= 2, "each notifier was killed, the feed was lost {} times", brought.lost);
    for (user, statuses) in &brought.statuses {
        let chained = statuses.windows(2).all(|pair| pair[1].1 == pair[0].0 && pair[1].0 > pair[0].0);
        assert!(chained, "{user}: {statuses:?}");
    }
    task.abort();
}
