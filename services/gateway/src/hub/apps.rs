//! The settings of the apps whose users are here (SPEC G1).

use rollcall_domain::{app::Settings, id::AppId};
use rollcall_proto::gateway::v1::AppVersion;

use super::Hub;

impl Hub {
    /// Returns the settings of an app.
    pub(crate) fn settings(&self, app: AppId) -> Option<Settings> {
        self.state.lock().apps.get(&app).map(|app| app.settings)
    }

    /// Lists the versions of the settings that are held.
    pub(super) fn app_versions(state: &super::State) -> Vec<AppVersion> {
        state.apps.iter().map(|(app, held)| AppVersion { app_id: app.get(), version: held.version }).collect()
    }
}
