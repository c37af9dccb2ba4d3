//! The gRPC service `Instances`: what Testmo core tells of plans and projects, and what that does to webhooks.
//!
//! Each message carries a version, and one that is not newer than what is known of its plan or project changes nothing.
//! So a message may come again or late. A project that was deleted comes back with a newer `PutProject`, but to no
//! scope that it has left.

use domain::{Identity, InstanceId, Scope, inactive};
use proto::{
    error::ApiError,
    v1::{
        DeleteProjectRequest, DeleteProjectResponse, PutProjectRequest, PutProjectResponse, SetPlanRequest,
        SetPlanResponse, instances_server::Instances,
    },
};
use tonic::{Request, Response, Status};

use super::{
    Service,
    change_log::{Action, Actor, differences},
    told,
    unit::Unit,
};
use crate::{
    access, failure,
    store::{Project, SealedWebhook, ToldPlan, Webhook, Write},
};

#[tonic::async_trait]
impl Instances for Service {
    async fn set_plan(&self, request: Request<SetPlanRequest>) -> Result<Response<SetPlanResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let instance = access::to_told_instance(&caller, &request.instance)?;
        let deactivated_webhooks = self.tell_plan(&caller, &instance, &told::plan(&request)?).await?;
        Ok(Response::new(SetPlanResponse { deactivated_webhooks }))
    }

    async fn put_project(&self, request: Request<PutProjectRequest>) -> Result<Response<PutProjectResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let instance = access::to_told_instance(&caller, &request.instance)?;
        self.tell_project(&instance, &told::project(&request)?).await?;
        Ok(Response::new(PutProjectResponse {}))
    }

    async fn delete_project(
        &self,
        request: Request<DeleteProjectRequest>,
    ) -> Result<Response<DeleteProjectResponse>, Status> {
        let (caller, request) = self.open(request).await?;
        let instance = access::to_told_instance(&caller, &request.instance)?;
        let deactivated_webhooks = self.tell_deletion(&caller, &instance, &told::deletion(&request)?).await?;
        Ok(Response::new(DeleteProjectResponse { deactivated_webhooks }))
    }
}

impl Service {
    /// Answers how many webhooks were deactivated.
    async fn tell_plan(&self, caller: &Identity, instance: &InstanceId, told: &ToldPlan) -> Result<i64, ApiError> {
        let mut unit = self.begin(instance).await?;
        if unit.change.plan().is_some_and(|known| told.version <= known.version) {
            return Ok(0);
        }
        unit.change.put_plan(told).await.map_err(failure::of_store)?;
        let mut deactivated = 0;
        if !told.plan.allows_webhooks() {
            let actor = Actor::core(caller, self.clock.now());
            let active = unit.change.active_webhooks().await.map_err(failure::of_store)?;
            let downgrade = |webhook: &mut Webhook| deactivate(webhook, inactive::PLAN_DOWNGRADED);
            deactivated = unit.change_all(active, &actor, Action::PlanDowngraded, downgrade).await?;
        }
        unit.commit().await?;
        self.metrics.deactivated(inactive::PLAN_DOWNGRADED, deactivated);
        tracing::info!(%instance, plan = %told.plan, deactivated, "the plan of an instance has changed");
        Ok(deactivated)
    }

    async fn tell_project(&self, instance: &InstanceId, told: &Project) -> Result<(), ApiError> {
        let mut unit = self.begin(instance).await?;
        if unit.is_news(told).await? {
            unit.change.put_project(told).await.map_err(failure::of_store)?;
            unit.commit().await?;
        }
        Ok(())
    }

    /// Answers how many webhooks were deactivated.
    async fn tell_deletion(&self, caller: &Identity, instance: &InstanceId, told: &Project) -> Result<i64, ApiError> {
        let mut unit = self.begin(instance).await?;
        if !unit.is_news(told).await? {
            return Ok(0);
        }
        let actor = Actor::core(caller, self.clock.now());
        let affected = unit.change.webhooks_of(told.id).await.map_err(failure::of_store)?;
        unit.change.put_project(told).await.map_err(failure::of_store)?;
        let leave = |webhook: &mut Webhook| leave(webhook, told.id);
        let deactivated = unit.change_all(affected, &actor, Action::ProjectDeleted, leave).await?;
        unit.commit().await?;
        self.metrics.deactivated(inactive::PROJECTS_DELETED, deactivated);
        tracing::info!(%instance, project = told.id, deactivated, "a project was deleted");
        Ok(deactivated)
    }
}

impl Unit {
    async fn is_news(&mut self, told: &Project) -> Result<bool, ApiError> {
        let known = self.change.project(told.id).await.map_err(failure::of_store)?;
        Ok(known.is_none_or(|known| known.version < told.version))
    }

    /// Changes webhooks alike; answers how many of them that deactivated.
    async fn change_all(
        &mut self,
        webhooks: Vec<SealedWebhook>,
        actor: &Actor,
        action: Action,
        change: impl Fn(&mut Webhook) + Send,
    ) -> Result<i64, ApiError> {
        let mut writes = Vec::with_capacity(webhooks.len());
        let mut deactivated = 0;
        for mut sealed in webhooks {
            let before = sealed.webhook.clone();
            change(&mut sealed.webhook);
            sealed.webhook.updated_at = actor.at;
            deactivated += i64::from(before.active && !sealed.webhook.active);
            let entry = actor.entry(action, &differences(&before, &sealed.webhook, &[]))?;
            writes.push(Write { id: before.id, webhook: Some(sealed), entry });
        }
        if !writes.is_empty() {
            self.write(&writes).await?;
        }
        Ok(deactivated)
    }
}

pub(super) fn deactivate(webhook: &mut Webhook, reason: &str) {
    webhook.active = false;
    reason.clone_into(&mut webhook.inactive_reason);
}

fn leave(webhook: &mut Webhook, project: i64) {
    let Scope::Projects(projects) = &mut webhook.scope else { return };
    projects.retain(|id| *id != project);
    if projects.is_empty() && webhook.active {
        deactivate(webhook, inactive::PROJECTS_DELETED);
    }
}
