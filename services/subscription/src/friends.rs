//! The rules around friends: bounds, pages, and the commit of what changed (SPEC I1).
//!
//! Neither edition, switch nor window is asked: the callers are backends, and the friends of an app whose switch is
//! off are kept for when it is turned on.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::stream::{self, StreamExt as _};
use rollcall_domain::{
    code::{Code, Refusal},
    friend::{FriendList, check_not_own},
    id::{AppId, UserId},
};
use rollcall_proto::{convert, trace::TraceParent};
use rollcall_records::{Apps, Error, HeldList, Lists};
use tracing::debug;

use crate::metrics::Metrics;

/// The greatest number of friends, or edges, in one call, and of friends in one page (SPEC I1).
const BATCH: usize = 1_000;

/// How many users' friends one import changes at once: enough that it does not wait for one round trip to the store
/// after the other, few enough that it leaves the store to others.
const USERS_AT_ONCE: usize = 16;

/// After how many users for whom the store was away an import gives up the rest: all that were under way when it went,
/// so that an import ends before its caller does.
const AWAY_USERS: usize = USERS_AT_ONCE;

/// Says that a user has a friend: the user, and the other.
pub(crate) type Edge = (UserId, UserId);

/// Changes and reads friends.
#[derive(Clone)]
pub(crate) struct Friends {
    pub(crate) lists: Lists<FriendList>,
    pub(crate) apps: Apps,
    pub(crate) metrics: Metrics,
}

/// Some of a user's friends, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Page {
    pub(crate) ids: Vec<UserId>,
    /// After whom the next page begins; `None` on the last.
    pub(crate) next: Option<UserId>,
    /// How many friends there are on all pages.
    pub(crate) total: usize,
}

impl Friends {
    /// Adds all friends or none, and returns those that are new, in the order of the call.
    ///
    /// Refused, the first that applies: no friend or too many (6017), a malformed one (7003), the user's own id (6017),
    /// an unknown app (70020), more friends than the app allows (6017).
    pub(crate) async fn add(
        &self,
        app: AppId,
        user: &UserId,
        friends: &[String],
        trace: &TraceParent,
    ) -> Result<Vec<UserId>, Error> {
        let friends = read(friends)?;
        check_not_own(user, &friends)?;
        let limit = self.limit(app).await?;
        let added = self.revise(app, user, trace, |list| list.add(user, &friends, limit)).await?;
        debug!(%user, added = added.len(), "added friends");
        Ok(added)
    }

    /// Removes friends, and returns those that were there, in the order of the call. Refused as in [`Friends::add`],
    /// save for the own id and the limit.
    pub(crate) async fn remove(
        &self,
        app: AppId,
        user: &UserId,
        friends: &[String],
        trace: &TraceParent,
    ) -> Result<Vec<UserId>, Error> {
        let friends = read(friends)?;
        self.apps.get(app).await?;
        let removed = self.revise(app, user, trace, |list| Ok(list.remove(&friends))).await?;
        debug!(%user, removed = removed.len(), "removed friends");
        Ok(removed)
    }

    /// Adds each edge by itself, and says of each whether it is new, or why it was refused: as malformed when it
    /// came, for the own id or the limit (6017), or because the friends of its user could not be stored.
    ///
    /// The edges of one user are taken in their order, and committed together. After [`AWAY_USERS`] for whom the store
    /// was away the others are not tried. An unknown app is refused with 70020.
    pub(crate) async fn import(
        &self,
        app: AppId,
        edges: Vec<Result<Edge, Refusal>>,
        trace: &TraceParent,
    ) -> Result<Vec<Result<bool, Refusal>>, Error> {
        let limit = self.limit(app).await?;
        let mut users: BTreeMap<UserId, Vec<(usize, UserId)>> = BTreeMap::new();
        let mut results = Vec::with_capacity(edges.len());
        for (place, edge) in edges.into_iter().enumerate() {
            results.push(edge.map(|(user, friend)| {
                users.entry(user).or_default().push((place, friend));
                false
            }));
        }
        let away = AtomicUsize::new(0);
        let imports = users.into_iter().map(|(user, friends)| {
            let away = &away;
            async move {
                let added = self.import_user(app, &user, &friends, (limit, trace), away).await;
                friends.into_iter().map(|(place, _)| place).zip(added).collect::<Vec<_>>()
            }
        });
        let mut done = stream::iter(imports).buffer_unordered(USERS_AT_ONCE);
        while let Some(added) = done.next().await {
            for (place, result) in added {
                results[place] = result;
            }
        }
        for result in &results {
            self.metrics.imported(result);
        }
        Ok(results)
    }

    /// Reads all friends of a user, for a gateway; an unknown app is refused with 70020.
    pub(crate) async fn all(&self, app: AppId, user: &UserId) -> Result<HeldList<FriendList>, Error> {
        self.apps.get(app).await?;
        let held = self.lists.read(app, user).await?;
        self.metrics.befriended(held.list.count());
        Ok(held)
    }

    /// Reads at most `size` friends of a user that come after `last`, or the first; an unknown app is refused with 70020.
    ///
    /// Pages follow ids and not places: so who is a friend from the first page to the last is on one of them, once,
    /// whoever comes and goes between.
    pub(crate) async fn page(
        &self,
        app: AppId,
        user: &UserId,
        size: usize,
        last: Option<&UserId>,
    ) -> Result<Page, Error> {
        let HeldList { list, .. } = self.all(app, user).await?;
        let mut rest = list.ids_after(last).copied();
        let ids: Vec<UserId> = rest.by_ref().take(size).collect();
        let next = rest.next().and_then(|_| ids.last().copied());
        Ok(Page { ids, next, total: list.count() })
    }

    /// Adds the edges of one user, and says of each whether it is new.
    async fn import_user(
        &self,
        app: AppId,
        user: &UserId,
        friends: &[(usize, UserId)],
        (limit, trace): (usize, &TraceParent),
        away: &AtomicUsize,
    ) -> Vec<Result<bool, Refusal>> {
        if away.load(Ordering::Relaxed) >= AWAY_USERS {
            let message = "the store did not serve others of the same call, try again";
            return vec![Err(Refusal::new(Code::ServerTimeout, message)); friends.len()];
        }
        let add = |list: &mut FriendList| {
            let mut add_one = |friend: UserId| Ok(!list.add(user, &[friend], limit)?.is_empty());
            Ok(friends.iter().map(|(_, friend)| add_one(*friend)).collect())
        };
        match self.revise(app, user, trace, add).await {
            Ok(added) => added,
            Err(error) => {
                error.log();
                let refusal = error.refusal();
                if refusal.code == Code::ServerTimeout {
                    away.fetch_add(1, Ordering::Relaxed);
                }
                vec![Err(refusal); friends.len()]
            }
        }
    }

    /// Lets `revise` change the friends of a user, and commits it if it did.
    async fn revise<T: Send>(
        &self,
        app: AppId,
        user: &UserId,
        trace: &TraceParent,
        mut revise: impl FnMut(&mut FriendList) -> Result<T, Refusal> + Send,
    ) -> Result<T, Error> {
        let mut count = 0;
        let revised = self.lists.revise(app, user, trace, |list: &mut FriendList| {
            let value = revise(list);
            count = list.count();
            value
        });
        let value = revised.await?.value;
        self.metrics.befriended(count);
        Ok(value)
    }

    /// Returns how many friends a user may have.
    async fn limit(&self, app: AppId) -> Result<usize, Error> {
        Ok(self.apps.get(app).await?.settings.limits.friends as usize)
    }
}

/// Checks that a call names at least one of `what` and no more than [`BATCH`], else 6017.
pub(crate) fn check_count(count: usize, what: &str) -> Result<(), Refusal> {
    if (1..=BATCH).contains(&count) {
        return Ok(());
    }
    let message = format!("the list holds {count} {what}, expected 1 to {BATCH}");
    Err(Refusal::new(Code::InvalidParameter, message))
}

/// Reads an edge; a malformed id is refused with 7003, and whose it is, is told.
pub(crate) fn edge(user: &str, friend: &str) -> Result<Edge, Refusal> {
    let user = convert::user_id(user)?;
    let of_friend = |refusal: Refusal| Refusal::new(refusal.code, format!("friend's {}", refusal.message));
    Ok((user, convert::user_id(friend).map_err(of_friend)?))
}

/// Reads the size of a page: at most [`BATCH`] (else 6017), and 0 stands for that.
pub(crate) fn page_size(size: u32) -> Result<usize, Refusal> {
    match size as usize {
        0 => Ok(BATCH),
        size if size <= BATCH => Ok(size),
        size => {
            let message = format!("the page size is {size}, expected at most {BATCH}");
            Err(Refusal::new(Code::InvalidParameter, message))
        }
    }
}

/// Reads after whom a page begins, which the page before said; empty is none, and what no page said is refused with
/// 6017.
pub(crate) fn page_token(token: &str) -> Result<Option<UserId>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let message = "the page token is malformed, expected what the page before said";
    UserId::new(token).map(Some).map_err(|_| Refusal::new(Code::InvalidParameter, message))
}

/// Reads the friends of a call, which are refused as a whole if there are too many or one is malformed.
fn read(ids: &[String]) -> Result<Vec<UserId>, Refusal> {
    check_count(ids.len(), "ids")?;
    ids.iter().map(|id| convert::user_id(id)).collect()
}

#[cfg(test)]
mod tests;
