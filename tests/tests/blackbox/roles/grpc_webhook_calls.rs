//! The gRPC methods on one webhook: how they are called, and what they do when they are permitted.

use blackbox::grpc::Grpc;
use proto::v1::{
    ActivateWebhookRequest, BatchGetStatsRequest, CountReplayRequest, DeactivateWebhookRequest, DeleteWebhookRequest,
    ExplainWebhookRequest, GetStatsRequest, GetWebhookRequest, ListEntriesRequest, ListReplaysRequest,
    ListWebhookChangesRequest, RegenerateSecretRequest, ReplaySelection, SampleEvent, StartReplayRequest,
    TestWebhookRequest, UpdateWebhookRequest, Webhook, explain_webhook_request::Event,
};
use tonic::Status;

use super::world::{Seen, ensure};

/// A method on a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Get,
    Rename,
    /// Of a version that it has not.
    RenameStale,
    Regenerate,
    Delete,
    /// Of a version that it has not.
    DeleteStale,
    Activate,
    Deactivate,
    Changes,
    /// What becomes of a sample event.
    Explain,
    /// Sending a test payload.
    Test,
    /// Its history.
    Entries,
    /// Its counts.
    Stats,
    /// What is left out of the answer counts as not found.
    BatchStats,
    /// Trying again what has failed, of which there is nothing.
    StartReplay,
    CountReplay,
    ListReplays,
}

const RENAMED: &str = "renamed";
/// A version that no webhook has.
const STALE: i64 = 900_000_001;

/// All that has failed of a webhook.
fn everything(webhook_id: i64) -> ReplaySelection {
    let from = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    ReplaySelection { webhook_id, from, to: None, events: Vec::new() }
}

impl Call {
    /// Service and method, as the schema has them.
    pub(super) fn method(self) -> (&'static str, &'static str) {
        match self {
            Self::Get => ("Webhooks", "GetWebhook"),
            Self::Rename | Self::RenameStale => ("Webhooks", "UpdateWebhook"),
            Self::Regenerate => ("Webhooks", "RegenerateSecret"),
            Self::Delete | Self::DeleteStale => ("Webhooks", "DeleteWebhook"),
            Self::Activate => ("Webhooks", "ActivateWebhook"),
            Self::Deactivate => ("Webhooks", "DeactivateWebhook"),
            Self::Changes => ("Webhooks", "ListWebhookChanges"),
            Self::Explain => ("Webhooks", "ExplainWebhook"),
            Self::Test => ("Webhooks", "TestWebhook"),
            Self::Entries => ("History", "ListEntries"),
            Self::Stats => ("History", "GetStats"),
            Self::BatchStats => ("History", "BatchGetStats"),
            Self::StartReplay => ("History", "StartReplay"),
            Self::CountReplay => ("History", "CountReplay"),
            Self::ListReplays => ("History", "ListReplays"),
        }
    }

    /// Whether the webhook is active before it: each action is to change something.
    pub(super) fn wants_active(self) -> bool {
        self != Self::Activate
    }

    /// The webhook of the answer, where it has one.
    pub(super) async fn send(self, grpc: &Grpc, id: i64) -> Result<Option<Webhook>, Status> {
        let mut webhooks = grpc.webhooks();
        let if_version = matches!(self, Self::RenameStale | Self::DeleteStale).then_some(STALE);
        Ok(match self {
            Self::Get => webhooks.get_webhook(GetWebhookRequest { id }).await?.into_inner().webhook,
            Self::Rename | Self::RenameStale => {
                let name = Some(RENAMED.to_owned());
                let request = UpdateWebhookRequest { id, name, if_version, ..UpdateWebhookRequest::default() };
                webhooks.update_webhook(request).await?.into_inner().webhook
            }
            Self::Regenerate => {
                let request = RegenerateSecretRequest { id, overlap_hours: 0, if_version };
                webhooks.regenerate_secret(request).await?.into_inner().webhook
            }
            Self::Delete | Self::DeleteStale => {
                webhooks.delete_webhook(DeleteWebhookRequest { id, if_version }).await?;
                None
            }
            Self::Activate => {
                webhooks.activate_webhook(ActivateWebhookRequest { id, if_version }).await?.into_inner().webhook
            }
            Self::Deactivate => {
                webhooks.deactivate_webhook(DeactivateWebhookRequest { id, if_version }).await?.into_inner().webhook
            }
            Self::Changes => {
                webhooks.list_webhook_changes(ListWebhookChangesRequest { id, page: 0, per_page: 0 }).await?;
                None
            }
            Self::Explain => {
                let sample = SampleEvent { r#type: "run.completed".to_owned(), project_id: 0 };
                webhooks.explain_webhook(ExplainWebhookRequest { id, event: Some(Event::Sample(sample)) }).await?;
                None
            }
            Self::Test => {
                webhooks.test_webhook(TestWebhookRequest { id }).await?;
                None
            }
            Self::Entries
            | Self::Stats
            | Self::BatchStats
            | Self::StartReplay
            | Self::CountReplay
            | Self::ListReplays => {
                self.ask_history(grpc, id).await?;
                None
            }
        })
    }

    /// The calls of the service `History`; of others none.
    async fn ask_history(self, grpc: &Grpc, webhook_id: i64) -> Result<(), Status> {
        let mut history = grpc.history();
        match self {
            Self::Entries => {
                let request = ListEntriesRequest { webhook_id, ..ListEntriesRequest::default() };
                history.list_entries(request).await.map(drop)
            }
            Self::Stats => {
                let request = GetStatsRequest { webhook_id, ..GetStatsRequest::default() };
                history.get_stats(request).await.map(drop)
            }
            Self::BatchStats => {
                let request = BatchGetStatsRequest { webhook_ids: vec![webhook_id], ..Default::default() };
                let told = history.batch_get_stats(request).await?.into_inner().stats;
                told.get(&webhook_id).map(drop).ok_or_else(|| Status::not_found("left out"))
            }
            Self::StartReplay => {
                let selection = Some(everything(webhook_id));
                history.start_replay(StartReplayRequest { selection }).await.map(drop)
            }
            Self::CountReplay => {
                let selection = Some(everything(webhook_id));
                history.count_replay(CountReplayRequest { selection }).await.map(drop)
            }
            Self::ListReplays => {
                let request = ListReplaysRequest { webhook_id, ..ListReplaysRequest::default() };
                history.list_replays(request).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Whether a permitted call did what it is for.
    pub(super) fn check_done(self, before: &Seen, after: &Seen, answer: Option<&Webhook>) -> Result<(), String> {
        let (old, new) = (&before.webhook, &after.webhook);
        let grown = after.version() > before.version();
        let shown = answer.is_some_and(|webhook| new["id"] == webhook.id && new["version"] == webhook.version);
        let done = match self {
            Self::Get => before == after && shown,
            Self::Rename => grown && shown && new["name"] == RENAMED,
            Self::Regenerate => {
                let secret = answer.map(|webhook| webhook.secret.as_str()).unwrap_or_default();
                grown && shown && secret.starts_with("whsec_") && new["secret"] != old["secret"]
            }
            Self::Delete => before.status == 200 && after.status == 404,
            Self::Activate => grown && shown && old["active"] == false && new["active"] == true,
            // One without projects has been deactivated with its last project.
            Self::Deactivate => grown == (old["active"] == true) && shown && new["active"] == false,
            Self::Changes | Self::Explain | Self::Test | Self::Entries | Self::Stats | Self::BatchStats => {
                before == after
            }
            Self::StartReplay | Self::CountReplay | Self::ListReplays => before == after,
            Self::RenameStale | Self::DeleteStale => false,
        };
        ensure(done, || format!("{self:?} has made {after:?} of {before:?}"))
    }
}
