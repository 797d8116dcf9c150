//! The configuration of apps.

use rollcall_domain::{code::Refusal, id::AppId};
use rollcall_proto::{
    admin::v1::{
        CreateAppRequest, CreateAppResponse, GetAppRequest, GetAppResponse, UpdateAppRequest,
        UpdateAppResponse, admin_service_server::AdminService,
    },
    common::v1 as common,
    convert,
};
use rollcall_records::App;
use tonic::{Request, Response, Status};

use crate::{
    admin::{Admin, Wish},
    error::{failed, refused},
};

#[tonic::async_trait]
impl AdminService for Admin {
    async fn create_app(
        &self,
        request: Request<CreateAppRequest>,
    ) -> Result<Response<CreateAppResponse>, Status> {
        let CreateAppRequest { app_id, edition, status, limits, login_policy } = request.into_inner();
        let (app, wish) = parse(app_id, edition, Some(status), limits, login_policy)
            .map_err(|refusal| refused(&refusal))?;
        let (created, token_key) = self.create(app, &wish).await.map_err(|error| failed(&error))?;
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
        let UpdateAppRequest { app_id, edition, status, limits, login_policy } = request.into_inner();
        let (app, wish) =
            parse(app_id, edition, status, limits, login_policy).map_err(|refusal| refused(&refusal))?;
        let updated = self.update(app, &wish).await.map_err(|error| failed(&error))?;
        Ok(Response::new(UpdateAppResponse { app: Some(to_wire(app, &updated)) }))
    }
}

fn parse(
    app: u32,
    edition: i32,
    status: Option<bool>,
    limits: Option<common::Limits>,
    login_policy: i32,
) -> Result<(AppId, Wish), Refusal> {
    let app = convert::app_id(app)?;
    let (edition, login_policy) = (Wish::edition(edition)?, Wish::login_policy(login_policy)?);
    Ok((app, Wish { edition, status, limits, login_policy }))
}

fn to_wire(app: AppId, stored: &App) -> common::AppSettings {
    convert::settings_to_wire(app, &stored.settings, stored.version.0)
}
