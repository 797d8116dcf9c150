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
