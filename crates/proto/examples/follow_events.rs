//! Follows the statuses of an app's users, and goes on where it stopped when the notifier is lost. A backend would keep
//! the position with what it does about a change, and begin behind it when it starts.
//!
//! ```text
//! cargo run -p rollcall-proto --example follow_events -- http://127.0.0.1:7703 1 0
//! ```
//!
//! The arguments are the address of a notifier, the app, and the position to begin behind; 0 begins with the oldest change
//! that is kept.

use std::{
    error::Error,
    io::{self, Write as _},
    time::Duration,
};

use rollcall_proto::event::v1::{
    ChangeKind, Event, FollowRequest, FollowResponse, event_service_client::EventServiceClient,
    follow_request::Start, follow_response::Told,
};
use tonic::{Status, transport::Endpoint};

/// The pause before a notifier that was lost is tried again.
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, app_id, position] = arguments.as_slice() else {
        return Err("expected the address of a notifier, an app and a position".into());
    };
    let (app_id, mut position) = (app_id.parse()?, position.parse()?);
    // Connects when it is used, and again when it is lost.
    let mut events = EventServiceClient::new(Endpoint::from_shared(address.clone())?.connect_lazy());
    loop {
        let kinds = vec![ChangeKind::Status.into()];
        let request = FollowRequest { app_id, start: Some(Start::After(position)), kinds };
        let lost = match events.follow(request).await {
            Ok(answers) => {
                let mut answers = answers.into_inner();
                loop {
                    match answers.message().await {
                        Ok(Some(answer)) => {
                            handle(&answer)?;
                            position = answer.position;
                        }
                        Ok(None) => break Status::unavailable("the stream ended"),
                        Err(status) => break status,
                    }
                }
            }
            Err(status) => status,
        };
        writeln!(io::stderr(), "lost the notifier after position {position}: {}", lost.message())?;
        tokio::time::sleep(PAUSE).await;
    }
}

fn handle(answer: &FollowResponse) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match &answer.told {
        Some(Told::Event(Event { change: Some(change), .. })) => {
            let (user, custom) = (&change.user_id, &change.custom);
            let general = change.general().as_str_name();
            writeln!(out, "{user} is {general}, says {custom:?}, version {}", change.status_version)
        }
        // Who keeps statuses reads them anew here, by the presence service.
        Some(Told::Gap(gap)) => writeln!(out, "changes may be missing: {}", gap.reason().as_str_name()),
        // The position has moved, which is all there is to know.
        _ => Ok(()),
    }
}
