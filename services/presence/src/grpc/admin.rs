//! The configuration of apps.

mod audit;

use rollcall_domain::status::RecordVersion;
use rollcall_domain::{code::Refusal, id::AppId};
use rollcall_proto::{
    admin::v1::{
        self as wire, CreateAppRequest, CreateAppResponse, GetAppRequest, GetAppResponse, UpdateAppRequest,
        UpdateAppResponse, admin_service_server::AdminService,
    },
    common::v1 as common,
    convert,
};
use rollcall_records::{App, Intent, ShownKey};
use tonic::{Request, Response, Status};

use crate::{
    admin::{Admin, Wish},
    error::{failed, refused},
    gate::{Access, Gate},
};

/// Serves operators, each as far as their credential allows.
#[derive(Clone)]
pub(crate) struct Operators {
    pub(crate) admin: Admin,
    pub(crate) gate: Gate,
}

#[tonic::async_trait]
impl AdminService for Operators {
    async fn create_app(
        &self,
        request: Request<CreateAppRequest>,
    ) -> Result<Response<CreateAppResponse>, Status> {
        let who = self.gate.admit(&request, Access::Administer)?;
        let CreateAppRequest { app_id, edition, status, friend_status, limits, login_policy } =
            request.into_inner();
        let switches = (Some(status), Some(friend_status));
        let (app, wish) =
            parse(app_id, edition, switches, limits, login_policy).map_err(|refusal| refused(&refusal))?;
        let (created, token_key) =
            self.admin.create(app, &who, &wish).await.map_err(|error| failed(&error))?;
        Ok(Response::new(CreateAppResponse { app: Some(to_wire(app, &created)), token_key }))
    }

    async fn get_app(&self, request: Request<GetAppRequest>) -> Result<Response<GetAppResponse>, Status> {
        self.gate.admit(&request, Access::Read)?;
        let app = convert::app_id(request.into_inner().app_id).map_err(|refusal| refused(&refusal))?;
        let found = self.admin.get(app).await.map_err(|error| failed(&error))?;
        Ok(Response::new(GetAppResponse { app: Some(to_wire(app, &found)) }))
    }

    async fn update_app(
        &self,
        request: Request<UpdateAppRequest>,
    ) -> Result<Response<UpdateAppResponse>, Status> {
        let who = self.gate.admit(&request, Access::Operate)?;
        let UpdateAppRequest {
            app_id,
            edition,
            status,
            friend_status,
            limits,
            login_policy,
            expected_version,
        } = request.into_inner();
        let switches = (status, friend_status);
        let (app, wish) =
            parse(app_id, edition, switches, limits, login_policy).map_err(|refusal| refused(&refusal))?;
        let updated = self
            .admin
            .update(app, &intent(&who, expected_version), &wish)
            .await
            .map_err(|error| failed(&error))?;
        Ok(Response::new(UpdateAppResponse { app: Some(to_wire(app, &updated)) }))
    }

    async fn add_token_key(
        &self,
        request: Request<wire::AddTokenKeyRequest>,
    ) -> Result<Response<wire::AddTokenKeyResponse>, Status> {
        let who = self.gate.admit(&request, Access::Administer)?;
        let wire::AddTokenKeyRequest { app_id, kid, ed25519_public_key, expected_version } =
            request.into_inner();
        let app = convert::app_id(app_id).map_err(|refusal| refused(&refusal))?;
        let added = self.admin.add_key(app, &intent(&who, expected_version), &kid, &ed25519_public_key).await;
        let (changed, token_key) = added.map_err(|error| failed(&error))?;
        Ok(Response::new(wire::AddTokenKeyResponse { token_key, version: changed.version.0 }))
    }

    async fn list_token_keys(
        &self,
        request: Request<wire::ListTokenKeysRequest>,
    ) -> Result<Response<wire::ListTokenKeysResponse>, Status> {
        self.gate.admit(&request, Access::Read)?;
        let app = convert::app_id(request.into_inner().app_id).map_err(|refusal| refused(&refusal))?;
        let App { keys, version, .. } = self.admin.get(app).await.map_err(|error| failed(&error))?;
        let keys = keys.iter().map(|key| key_to_wire(key.into())).collect();
        Ok(Response::new(wire::ListTokenKeysResponse { keys, version: version.0 }))
    }

    async fn remove_token_key(
        &self,
        request: Request<wire::RemoveTokenKeyRequest>,
    ) -> Result<Response<wire::RemoveTokenKeyResponse>, Status> {
        let who = self.gate.admit(&request, Access::Administer)?;
        let wire::RemoveTokenKeyRequest { app_id, kid, expected_version } = request.into_inner();
        let app = convert::app_id(app_id).map_err(|refusal| refused(&refusal))?;
        let removed = self.admin.remove_key(app, &intent(&who, expected_version), &kid).await;
        let changed = removed.map_err(|error| failed(&error))?;
        Ok(Response::new(wire::RemoveTokenKeyResponse { version: changed.version.0 }))
    }

    async fn list_audit_entries(
        &self,
        request: Request<wire::ListAuditEntriesRequest>,
    ) -> Result<Response<wire::ListAuditEntriesResponse>, Status> {
        self.gate.admit(&request, Access::Read)?;
        let (app, before, limit) = audit::page(&request.into_inner()).map_err(|refusal| refused(&refusal))?;
        let page = self.admin.audit(app, before, limit).await.map_err(|error| failed(&error))?;
        Ok(Response::new(audit::to_wire(app, page)))
    }
}

fn intent(who: &str, expected_version: u64) -> Intent<'_> {
    Intent { who, expected: (expected_version != 0).then_some(RecordVersion(expected_version)) }
}

fn key_to_wire(key: ShownKey) -> wire::TokenKey {
    let (algorithm, ed25519_public_key) = match key.ed25519 {
        None => ("HS256", Vec::new()),
        Some(public) => ("EdDSA", public.to_vec()),
    };
    wire::TokenKey { kid: key.kid, algorithm: algorithm.to_owned(), ed25519_public_key }
}

fn parse(
    app: u32,
    edition: i32,
    (status, friend_status): (Option<bool>, Option<bool>),
    limits: Option<common::Limits>,
    login_policy: i32,
) -> Result<(AppId, Wish), Refusal> {
    let app = convert::app_id(app)?;
    let (edition, login_policy) = (Wish::edition(edition)?, Wish::login_policy(login_policy)?);
    Ok((app, Wish { edition, status, friend_status, limits, login_policy }))
}

fn to_wire(app: AppId, stored: &App) -> common::AppSettings {
    convert::settings_to_wire(app, &stored.settings, stored.version.0)
}
