//! What the backend of an app does to the friends of its users.

use rollcall_domain::code::{Code, Refusal};
use rollcall_proto::{
    convert,
    subscription::v1::{
        AddFriendsRequest, AddFriendsResponse, FriendResult, ImportFriendsRequest, ImportFriendsResponse,
        ListFriendsRequest, ListFriendsResponse, RemoveFriendsRequest, RemoveFriendsResponse,
        friend_service_server::FriendService,
    },
    trace::TraceParent,
};
use tonic::{Request, Response, Status};

use super::{counted, owner, to_wire};
use crate::{
    friends::{self, Friends},
    metrics::Method,
};

#[tonic::async_trait]
impl FriendService for Friends {
    async fn add_friends(
        &self,
        request: Request<AddFriendsRequest>,
    ) -> Result<Response<AddFriendsResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let AddFriendsRequest { app_id, user_id, friend_ids } = request.into_inner();
        let call = async {
            let (app, user) = owner(app_id, &user_id)?;
            self.add(app, &user, &friend_ids, &trace).await
        };
        let added = counted(&self.metrics, Method::AddFriends, call.await)?;
        Ok(Response::new(AddFriendsResponse { added: to_wire(&added) }))
    }

    async fn remove_friends(
        &self,
        request: Request<RemoveFriendsRequest>,
    ) -> Result<Response<RemoveFriendsResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let RemoveFriendsRequest { app_id, user_id, friend_ids } = request.into_inner();
        let call = async {
            let (app, user) = owner(app_id, &user_id)?;
            self.remove(app, &user, &friend_ids, &trace).await
        };
        let removed = counted(&self.metrics, Method::RemoveFriends, call.await)?;
        Ok(Response::new(RemoveFriendsResponse { removed: to_wire(&removed) }))
    }

    async fn import_friends(
        &self,
        request: Request<ImportFriendsRequest>,
    ) -> Result<Response<ImportFriendsResponse>, Status> {
        let trace = TraceParent::from_metadata(request.metadata());
        let ImportFriendsRequest { app_id, edges } = request.into_inner();
        let call = async {
            let app = convert::app_id(app_id)?;
            friends::check_count(edges.len(), "edges")?;
            let edges = edges.iter().map(|edge| friends::edge(&edge.user_id, &edge.friend_id)).collect();
            self.import(app, edges, &trace).await
        };
        let results = counted(&self.metrics, Method::ImportFriends, call.await)?;
        Ok(Response::new(ImportFriendsResponse { results: results.into_iter().map(result).collect() }))
    }

    async fn list_friends(
        &self,
        request: Request<ListFriendsRequest>,
    ) -> Result<Response<ListFriendsResponse>, Status> {
        let ListFriendsRequest { app_id, user_id, page_size, page_token } = request.into_inner();
        let call = async {
            let (app, user) = owner(app_id, &user_id)?;
            let (size, last) = (friends::page_size(page_size)?, friends::page_token(&page_token)?);
            self.page(app, &user, size, last.as_ref()).await
        };
        let page = counted(&self.metrics, Method::ListFriends, call.await)?;
        Ok(Response::new(ListFriendsResponse {
            friend_ids: to_wire(&page.ids),
            next_page_token: page.next.map(|last| last.as_str().to_owned()).unwrap_or_default(),
            total: u32::try_from(page.total).unwrap_or(u32::MAX),
        }))
    }
}

fn result(edge: Result<bool, Refusal>) -> FriendResult {
    let (added, refusal) = match edge {
        Ok(added) => (added, Refusal::new(Code::Ok, "")),
        Err(refusal) => (false, refusal),
    };
    FriendResult { code: refusal.code.number().unsigned_abs(), message: refusal.message.into_owned(), added }
}
