//! The gRPC services `Webhooks` and `Instances`: each call finds out who is calling, asks [`access`] what that reaches,
//! and acts.
//!
//! What is wrong is told in this order: no token (401), a role or a scope that is not permitted (403), nothing within
//! reach (404), another version (412), fields (422), the plan (403), a state that does not fit (409).

mod activation;
mod answer;
mod change_log;
mod explain;
mod failing;
mod instances;
mod paging;
mod projects;
pub(crate) mod rules;
mod secrets;
mod test;
mod tokens;
mod told;
mod unit;
mod update;
pub(crate) mod webhooks;

use std::sync::Arc;

use domain::{AddressPolicy, Clock, IdSource, Identity};
use proto::{
    channel::GrpcChannel,
    error::ApiError,
    v1::{
        ActivateWebhookRequest, ActivateWebhookResponse, CreateTokenRequest, CreateTokenResponse, CreateWebhookRequest,
        CreateWebhookResponse, DeactivateWebhookRequest, DeactivateWebhookResponse, DeleteWebhookRequest,
        DeleteWebhookResponse, ExplainWebhookRequest, ExplainWebhookResponse, GetCallerRequest, GetCallerResponse,
        GetPlanRequest, GetPlanResponse, GetWebhookRequest, GetWebhookResponse, ListProjectsRequest,
        ListProjectsResponse, ListTokensRequest, ListTokensResponse, ListWebhookChangesRequest,
        ListWebhookChangesResponse, ListWebhooksRequest, ListWebhooksResponse, RegenerateSecretRequest,
        RegenerateSecretResponse, RevokeTokenRequest, RevokeTokenResponse, TestWebhookRequest, TestWebhookResponse,
        UpdateWebhookRequest, UpdateWebhookResponse, webhooks_server::Webhooks,
    },
};
use runtime::{Authenticator, Resolver};
use tonic::{Request, Response, Status};

use crate::{access, failure, metrics::Metrics, secret_box::SecretBox, store::Store};

/// The service and what it works with.
pub(crate) struct Service {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) secrets: Arc<SecretBox>,
    pub(crate) policy: AddressPolicy,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    /// The way to history; carries the services' credential.
    pub(crate) history: GrpcChannel,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) metrics: Metrics,
}

impl Service {
    /// Who is calling, and the message.
    async fn open<T>(&self, request: Request<T>) -> Result<(Identity, T), Status> {
        let caller = runtime::admitted(&*self.authenticator, request.extensions(), request.metadata()).await?;
        Ok((caller, request.into_inner()))
    }
}

fn not_found(id: i64) -> ApiError {
    ApiError::not_found("webhook", id)
}

#[tonic::async_trait]
impl Webhooks for Service {
    async fn get_caller(&self, request: Request<GetCallerRequest>) -> Result<Response<GetCallerResponse>, Status> {
        let (caller, GetCallerRequest {}) = self.open(request).await?;
        Ok(Response::new(answer::caller(caller)))
    }

    async fn create_webhook(
        &self,
        request: Request<CreateWebhookRequest>,
    ) -> Result<Response<CreateWebhookResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let webhook = self.create(&caller, request).await?;
        Ok(Response::new(CreateWebhookResponse { webhook: Some(webhook) }))
    }

    async fn get_webhook(&self, request: Request<GetWebhookRequest>) -> Result<Response<GetWebhookResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let reach = access::to_webhooks(&caller)?;
        let webhook = self.get(&reach, request.id).await?;
        Ok(Response::new(GetWebhookResponse { webhook: Some(webhook) }))
    }

    async fn list_webhooks(
        &self,
        request: Request<ListWebhooksRequest>,
    ) -> Result<Response<ListWebhooksResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let reach = access::to_webhooks(&caller)?;
        Ok(Response::new(self.list(&reach, &request).await?))
    }

    async fn update_webhook(
        &self,
        request: Request<UpdateWebhookRequest>,
    ) -> Result<Response<UpdateWebhookResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        Ok(Response::new(self.update(&caller, &request).await?))
    }

    async fn regenerate_secret(
        &self,
        request: Request<RegenerateSecretRequest>,
    ) -> Result<Response<RegenerateSecretResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let webhook = self.regenerate(&caller, &request).await?;
        Ok(Response::new(RegenerateSecretResponse { webhook: Some(webhook) }))
    }

    async fn delete_webhook(
        &self,
        request: Request<DeleteWebhookRequest>,
    ) -> Result<Response<DeleteWebhookResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        self.delete(&caller, request.id, request.if_version).await?;
        Ok(Response::new(DeleteWebhookResponse {}))
    }

    async fn activate_webhook(
        &self,
        request: Request<ActivateWebhookRequest>,
    ) -> Result<Response<ActivateWebhookResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let webhook = self.set_active(&caller, request.id, request.if_version, true).await?;
        Ok(Response::new(ActivateWebhookResponse { webhook: Some(webhook) }))
    }

    async fn deactivate_webhook(
        &self,
        request: Request<DeactivateWebhookRequest>,
    ) -> Result<Response<DeactivateWebhookResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let webhook = self.set_active(&caller, request.id, request.if_version, false).await?;
        Ok(Response::new(DeactivateWebhookResponse { webhook: Some(webhook) }))
    }

    async fn explain_webhook(
        &self,
        request: Request<ExplainWebhookRequest>,
    ) -> Result<Response<ExplainWebhookResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let reach = access::to_webhooks(&caller)?;
        Ok(Response::new(self.explain(&reach, &request).await?))
    }

    async fn test_webhook(
        &self,
        request: Request<TestWebhookRequest>,
    ) -> Result<Response<TestWebhookResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let reach = access::to_webhooks(&caller)?;
        Ok(Response::new(self.test(&reach, request.id).await?))
    }

    async fn list_webhook_changes(
        &self,
        request: Request<ListWebhookChangesRequest>,
    ) -> Result<Response<ListWebhookChangesResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let reach = access::to_webhooks(&caller)?;
        Ok(Response::new(self.log(&reach, &request).await?))
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let reach = access::to_webhooks(&caller)?;
        Ok(Response::new(self.projects(&reach, &request).await?))
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let instance = access::to_new_token(&caller, request.all_instances)?;
        Ok(Response::new(self.make_token(instance, request).await?))
    }

    async fn list_tokens(&self, request: Request<ListTokensRequest>) -> Result<Response<ListTokensResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let reach = access::to_tokens(&caller)?;
        Ok(Response::new(self.tokens(&reach, &request).await?))
    }

    async fn get_plan(&self, request: Request<GetPlanRequest>) -> Result<Response<GetPlanResponse>, Status> {
        let (caller, GetPlanRequest {}) = self.open(request).await?;
        let instance = access::to_own_plan(&caller)?;
        let told = self.store.plan(&instance).await.map_err(failure::of_store)?;
        let plan = told.map(|told| told.plan).unwrap_or_default();
        Ok(Response::new(GetPlanResponse { plan: plan.as_str().to_owned() }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let reach = access::to_tokens(&caller)?;
        self.revoke(&reach, request.id).await?;
        Ok(Response::new(RevokeTokenResponse {}))
    }
}
