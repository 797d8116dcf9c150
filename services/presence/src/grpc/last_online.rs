//! What subscription asks of users whose lists may go.

use std::collections::BTreeMap;

use rollcall_domain::{
    code::{Code, Refusal},
    id::{AppId, UserId},
};
use rollcall_proto::{
    convert::{self, READ_IDS},
    presence::v1::{
        GetLastOnlineRequest, GetLastOnlineResponse, LastOnline, UserRef,
        last_online_service_server::LastOnlineService,
    },
};
use tonic::{Request, Response, Status};

use crate::{
    error::{failed, refused},
    sessions::Sessions,
};

#[tonic::async_trait]
impl LastOnlineService for Sessions {
    async fn get_last_online(
        &self,
        request: Request<GetLastOnlineRequest>,
    ) -> Result<Response<GetLastOnlineResponse>, Status> {
        let users = names(&request.into_inner().users).map_err(|refusal| refused(&refusal))?;
        // One read for each app, with the place of each user in the answer.
        let mut apps: BTreeMap<AppId, (Vec<UserId>, Vec<usize>)> = BTreeMap::new();
        for (place, (app, user)) in users.iter().enumerate() {
            let (ids, places) = apps.entry(*app).or_default();
            ids.push(*user);
            places.push(place);
        }
        let mut answers = vec![LastOnline::default(); users.len()];
        for (app, (ids, places)) in apps {
            let states = self.users.states(app, &ids).await.map_err(|error| failed(&error))?;
            for (place, state) in places.into_iter().zip(states) {
                answers[place] = match state {
                    Ok((state, _)) => LastOnline {
                        unreadable: false,
                        online: !state.sessions.is_empty(),
                        left_at: state.left_online_at().unwrap_or_default().0,
                    },
                    Err(error) => {
                        error.log();
                        LastOnline { unreadable: true, ..LastOnline::default() }
                    }
                };
            }
        }
        Ok(Response::new(GetLastOnlineResponse { users: answers }))
    }
}

fn names(users: &[UserRef]) -> Result<Vec<(AppId, UserId)>, Refusal> {
    if !(1..=READ_IDS).contains(&users.len()) {
        let message = format!("the list holds {} users, expected 1 to {READ_IDS}", users.len());
        return Err(Refusal::new(Code::InvalidParameter, message));
    }
    users.iter().map(|user| Ok((convert::app_id(user.app_id)?, convert::user_id(&user.user_id)?))).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rollcall_domain::{id::Platform, status::RecordVersion, time::Timestamp};
    use rollcall_proto::{refusal, trace::TraceParent};
    use rollcall_store::{Commit, Key, Store as _, port::Write};

    use super::*;
    use crate::fixture::{Fixture, START, app, caller, seconds, user};

    fn request(users: &[(u32, &str)]) -> Request<GetLastOnlineRequest> {
        let user = |(app_id, name): &(u32, &str)| UserRef { app_id: *app_id, user_id: (*name).to_owned() };
        Request::new(GetLastOnlineRequest { users: users.iter().map(user).collect() })
    }

    // SPEC D5
    #[tokio::test]
    async fn users_of_any_app_are_answered_in_order_and_one_that_cannot_be_read_by_that() {
        let fixture = Fixture::new().await;
        let sessions = &fixture.parts.sessions;
        fixture.log_in("here", 1, Platform::Web).await;
        fixture.log_in("left", 2, Platform::Web).await;
        sessions.logout(&caller("left", 2), &TraceParent::default()).await.unwrap();
        let commit = Commit {
            key: Key::User(app(), user("broken")),
            expected: None,
            write: Write::Put(Bytes::from_static(b"\xff")),
            new_status: false,
            floor: RecordVersion(0),
            not_after: None,
            timers: Vec::new(),
            guards: Vec::new(),
            entry: None,
        };
        fixture.store.commit(commit).await.unwrap();

        let asked = [(7, "left"), (8, "here"), (7, "broken"), (7, "here"), (7, "nobody"), (7, "left")];
        let answer = sessions.get_last_online(request(&asked)).await.unwrap().into_inner();

        let left_at = |at: Timestamp| LastOnline { left_at: at.0, ..LastOnline::default() };
        let left = left_at(seconds(START));
        let unreadable = LastOnline { unreadable: true, ..LastOnline::default() };
        let online = LastOnline { online: true, ..LastOnline::default() };
        assert_eq!(
            answer.users,
            [left, LastOnline::default(), unreadable, online, LastOnline::default(), left]
        );
    }

    #[tokio::test]
    async fn a_list_of_none_of_too_many_and_of_a_malformed_user_is_refused() {
        let fixture = Fixture::new().await;
        let many = vec![(7, "here"); READ_IDS + 1];
        let cases = [(&[][..], 6017), (&many, 6017), (&[(0, "here")], 6017), (&[(7, "\n")], 7003)];
        for (users, code) in cases {
            let refused = fixture.parts.sessions.get_last_online(request(users)).await.unwrap_err();
            assert_eq!(refusal::from_status(&refused).code.number(), code);
        }
    }
}
