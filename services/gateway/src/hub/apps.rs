//! The settings of the apps whose users are here (SPEC G1).

use std::collections::HashSet;

use rollcall_domain::{app::Settings, id::AppId};
use rollcall_proto::gateway::v1::AppVersion;

use super::{App, Hub, State, UserKey, index::Kinds};

impl Hub {
    /// Returns the settings of an app.
    pub(crate) fn settings(&self, app: AppId) -> Option<Settings> {
        self.state.lock().apps.get(&app).map(|app| app.settings)
    }

    /// Replaces an app's settings if they are newer, and wakes the sessions that are owed something. Returns the users
    /// whose friends are to be read now.
    pub(crate) fn set_settings(&self, app: AppId, settings: Settings, version: u64) -> HashSet<UserKey> {
        let mut state = self.state.lock();
        if state.apps.get(&app).is_some_and(|held| held.version >= version) {
            return HashSet::new();
        }
        state.apps.insert(app, App { settings, version });
        let of_app = || state.sessions.iter().flatten().filter(|session| session.handle.key.0 == app);
        for session in of_app().filter(|session| !session.marks.is_empty()) {
            session.handle.wake();
        }
        of_app().map(|session| session.handle.key).filter(|key| state.friends_due(key)).collect()
    }

    /// Lists the versions of the settings that are held.
    pub(super) fn app_versions(state: &State) -> Vec<AppVersion> {
        state.apps.iter().map(|(app, held)| AppVersion { app_id: app.get(), version: held.version }).collect()
    }
}

impl State {
    /// Returns the kinds of edges by which users of an app hear of others (SPEC F2, F3).
    pub(super) fn heard(&self, app: AppId) -> Kinds {
        let Some(App { settings, .. }) = self.apps.get(&app) else { return Kinds::NONE };
        let by_subscription = if settings.check_others().is_ok() { Kinds::SUBSCRIPTION } else { Kinds::NONE };
        let as_friend = if settings.hears_friends() { Kinds::FRIEND } else { Kinds::NONE };
        by_subscription.and(as_friend)
    }
}
