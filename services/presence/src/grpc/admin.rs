//! The configuration of apps.

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
use rollcall_records::{App, Intent, KeyMaterial, TokenKey};
use tonic::{Request, Response, Status};

use crate::{
    admin::{Admin, Wish},
    error::{failed, refused},
};

/// Who asks.
const WHO: &str = "local";

#[tonic::async_trait]
impl AdminService for Admin {
    async fn create_app(
        &self,
        request: Request<CreateAppRequest>,
    ) -> Result<Response<CreateAppResponse>, Status> {
        let CreateAppRequest { app_id, edition, status, friend_status, limits, login_policy } =
            request.into_inner();
        let switches = (Some(status), Some(friend_status));
        let (app, wish) =
            parse(app_id, edition, switches, limits, login_policy).map_err(|refusal| refused(&refusal))?;
        let (created, token_key) = self.create(app, WHO, &wish).await.map_err(|error| failed(&error))?;
        Ok(Response::new(CreateAppResponse { app: Some(to_wire(app, &created)), token_key }))
    }

    async fn get_app(&self, request: Request<GetAppRequest>) -> Result<Response<GetAppResponse>, Status> {
        let app = convert::app_id(request.into_inner().app_id).map_err(|refusal| refused(&refusal))?;
        let found = self.get(app).await.map_err(|error| failed(&error))?;
        Ok(Response::new(GetAppResponse { app: Some(to_wire(app, &found)) }))
    }

    async fn update_app(
        &self,
        request: Request<UpdateAppRequest>,
    ) -> Result<Response<UpdateAppResponse>, Status> {
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
        let updated =
            self.update(app, &intent(WHO, expected_version), &wish).await.map_err(|error| failed(&error))?;
        Ok(Response::new(UpdateAppResponse { app: Some(to_wire(app, &updated)) }))
    }

    async fn add_token_key(
        &self,
        request: Request<wire::AddTokenKeyRequest>,
    ) -> Result<Response<wire::AddTokenKeyResponse>, Status> {
        let wire::AddTokenKeyRequest { app_id, kid, ed25519_public_key, expected_version } =
            request.into_inner();
        let app = convert::app_id(app_id).map_err(|refusal| refused(&refusal))?;
        let added = self.add_key(app, &intent(WHO, expected_version), &kid, &ed25519_public_key).await;
        let (changed, token_key) = added.map_err(|error| failed(&error))?;
        Ok(Response::new(wire::AddTokenKeyResponse { token_key, version: changed.version.0 }))
    }

    async fn list_token_keys(
        &self,
        request: Request<wire::ListTokenKeysRequest>,
    ) -> Result<Response<wire::ListTokenKeysResponse>, Status> {
        let app = convert::app_id(request.into_inner().app_id).map_err(|refusal| refused(&refusal))?;
        let App { keys, version, .. } = self.get(app).await.map_err(|error| failed(&error))?;
        let keys = keys.into_iter().map(key_to_wire).collect();
        Ok(Response::new(wire::ListTokenKeysResponse { keys, version: version.0 }))
    }

    async fn remove_token_key(
        &self,
        request: Request<wire::RemoveTokenKeyRequest>,
    ) -> Result<Response<wire::RemoveTokenKeyResponse>, Status> {
        let wire::RemoveTokenKeyRequest { app_id, kid, expected_version } = request.into_inner();
        let app = convert::app_id(app_id).map_err(|refusal| refused(&refusal))?;
        let removed = self.remove_key(app, &intent(WHO, expected_version), &kid).await;
        let changed = removed.map_err(|error| failed(&error))?;
        Ok(Response::new(wire::RemoveTokenKeyResponse { version: changed.version.0 }))
    }
}

fn intent(who: &str, expected_version: u64) -> Intent<'_> {
    Intent { who, expected: (expected_version != 0).then_some(RecordVersion(expected_version)) }
}

fn key_to_wire(key: TokenKey) -> wire::TokenKey {
    let (algorithm, ed25519_public_key) = match key.material {
        KeyMaterial::Hs256(_) => ("HS256", Vec::new()),
        KeyMaterial::Ed25519(public) => ("EdDSA", public.to_vec()),
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
