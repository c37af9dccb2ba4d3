//! Following the configuration of webhooks by version.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use proto::{
    channel::GrpcChannel,
    internal::v1::{ChangesRequest, DeletedProject, WebhookConfig, configuration_client::ConfigurationClient},
};
use tokio::{sync::Mutex, time::Instant};
use tonic::Status;

/// What has changed, oldest change first. Not to be printed: webhooks hold secrets.
#[derive(Clone, Default)]
pub struct Changes {
    /// Whether this is everything there is: whatever else was known before is void.
    pub whole: bool,
    /// The webhooks that changed.
    pub webhooks: Vec<WebhookConfig>,
    /// The projects that were deleted.
    pub deleted_projects: Vec<DeletedProject>,
}

impl Changes {
    fn whole() -> Self {
        Self { whole: true, ..Self::default() }
    }
}

/// Asks the subscription service what has changed since the last time.
#[derive(Debug)]
pub struct ChangesFollower {
    client: ConfigurationClient<GrpcChannel>,
    with_secrets: bool,
    /// One asks at a time. Holds when the last one that succeeded began.
    turn: Mutex<Option<Instant>>,
    version: AtomicI64,
}

/// How long an answer may take: behind this call others wait for theirs.
const TIMEOUT: Duration = Duration::from_secs(2);

impl ChangesFollower {
    /// Knows nothing yet. `channel` carries the services' credential.
    #[must_use]
    pub fn new(channel: GrpcChannel, with_secrets: bool) -> Self {
        let client = ConfigurationClient::new(channel).max_decoding_message_size(64 << 20);
        Self { client, with_secrets, turn: Mutex::new(None), version: AtomicI64::new(0) }
    }

    /// Asks until there is no more, and hands over what has changed; answers the version known then. What was saved
    /// before the call is in it.
    ///
    /// The first time, everything is handed over at once and as a whole. So it is again when the service knows less than
    /// is known here: its database was restored from a backup, and what the backup lacks must be forgotten. (One that has
    /// grown past the known version before it is asked again cannot be told apart.)
    ///
    /// # Errors
    /// The subscription service cannot be reached; what was handed over stays valid.
    pub async fn sync(&self, mut apply: impl FnMut(Changes) + Send) -> Result<i64, Status> {
        let called = Instant::now();
        let mut turn = self.turn.lock().await;
        if turn.is_some_and(|began| began > called) {
            // Somebody else has asked since this call.
            return Ok(self.version());
        }
        let began = Instant::now();
        let mut known = self.version();
        let mut whole = (known == 0).then(Changes::whole);
        loop {
            let answer = self.ask(known).await?;
            if answer.version < known {
                tracing::warn!(known, found = answer.version, "the configuration is older than what is known of it");
                (known, whole) = (0, Some(Changes::whole()));
                continue;
            }
            known = answer.version;
            let (webhooks, deleted_projects) = (answer.webhooks, answer.deleted_projects);
            match &mut whole {
                Some(whole) => {
                    whole.webhooks.extend(webhooks);
                    whole.deleted_projects.extend(deleted_projects);
                }
                None => {
                    apply(Changes { whole: false, webhooks, deleted_projects });
                    self.version.store(known, Ordering::Release);
                }
            }
            if !answer.more {
                break;
            }
        }
        if let Some(whole) = whole {
            apply(whole);
            self.version.store(known, Ordering::Release);
        }
        *turn = Some(began);
        Ok(known)
    }

    async fn ask(&self, since: i64) -> Result<proto::internal::v1::ChangesResponse, Status> {
        let mut client = self.client.clone();
        let answer = client.changes(ChangesRequest { since, with_secrets: self.with_secrets });
        let answer = tokio::time::timeout(TIMEOUT, answer).await;
        Ok(answer.map_err(|_| Status::unavailable("the subscription service does not answer"))??.into_inner())
    }

    /// The version known now.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use proto::{
        channel::LocalServices,
        internal::v1::{
            AuthenticateRequest, AuthenticateResponse, ChangesResponse, CheckPlanRequest, CheckPlanResponse,
            DeactivateFailingRequest, DeactivateFailingResponse,
            configuration_server::{Configuration, ConfigurationServer},
        },
    };
    use tonic::{Request, Response, service::Routes};

    use super::*;

    /// A subscription service that gives two changes an answer.
    #[derive(Clone, Default)]
    struct Fake {
        webhooks: Arc<Mutex<Vec<WebhookConfig>>>,
        calls: Arc<AtomicUsize>,
    }

    impl Fake {
        fn set(&self, webhooks: &[(i64, i64)]) {
            let webhook =
                |(id, version): &(i64, i64)| WebhookConfig { id: *id, version: *version, ..Default::default() };
            *self.webhooks.lock().unwrap() = webhooks.iter().map(webhook).collect();
        }

        fn follower(&self) -> ChangesFollower {
            let services = LocalServices::default();
            services.set(Routes::new(ConfigurationServer::new(self.clone())));
            ChangesFollower::new(services.channel(), false)
        }
    }

    #[tonic::async_trait]
    impl Configuration for Fake {
        async fn changes(&self, request: Request<ChangesRequest>) -> Result<Response<ChangesResponse>, Status> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let since = request.into_inner().since;
            let known = self.webhooks.lock().unwrap().clone();
            let newest = known.iter().map(|webhook| webhook.version).max().unwrap_or(0);
            let mut webhooks: Vec<_> = known.into_iter().filter(|webhook| webhook.version > since).collect();
            webhooks.sort_by_key(|webhook| webhook.version);
            let more = webhooks.len() > 2;
            webhooks.truncate(2);
            let version = if more { webhooks[1].version } else { newest };
            let project_id = version;
            let deleted_projects = vec![DeletedProject { project_id, ..Default::default() }];
            Ok(Response::new(ChangesResponse { version, webhooks, deleted_projects, more }))
        }

        async fn authenticate(
            &self,
            _: Request<AuthenticateRequest>,
        ) -> Result<Response<AuthenticateResponse>, Status> {
            Err(Status::unimplemented("not asked here"))
        }

        async fn check_plan(&self, _: Request<CheckPlanRequest>) -> Result<Response<CheckPlanResponse>, Status> {
            Err(Status::unimplemented("not asked here"))
        }

        async fn deactivate_failing(
            &self,
            _: Request<DeactivateFailingRequest>,
        ) -> Result<Response<DeactivateFailingResponse>, Status> {
            Err(Status::unimplemented("not asked here"))
        }
    }

    /// What one call hands over: whether it is the whole, and the ids.
    async fn synced(follower: &ChangesFollower) -> (i64, Vec<(bool, Vec<i64>, Vec<i64>)>) {
        let mut got = Vec::new();
        let take = |changes: Changes| {
            let webhooks = changes.webhooks.iter().map(|webhook| webhook.id).collect();
            let projects = changes.deleted_projects.iter().map(|project| project.project_id).collect();
            got.push((changes.whole, webhooks, projects));
        };
        (follower.sync(take).await.unwrap(), got)
    }

    #[tokio::test]
    async fn the_first_time_everything_comes_at_once_and_then_what_has_changed() {
        let fake = Fake::default();
        let follower = fake.follower();
        assert_eq!(synced(&follower).await, (0, vec![(true, vec![], vec![0])]));
        fake.set(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
        assert_eq!(synced(&follower).await, (5, vec![(true, vec![1, 2, 3, 4, 5], vec![2, 4, 5])]));
        fake.set(&[(1, 8), (2, 7), (3, 6), (4, 4), (5, 5)]);
        assert_eq!(synced(&follower).await, (8, vec![(false, vec![3, 2], vec![7]), (false, vec![1], vec![8])]));
        assert_eq!(synced(&follower).await, (8, vec![(false, vec![], vec![8])]));
        assert_eq!(follower.version(), 8);
    }

    #[tokio::test]
    async fn a_service_that_knows_less_is_believed_as_a_whole() {
        let fake = Fake::default();
        let follower = fake.follower();
        fake.set(&[(1, 1), (2, 2), (3, 3), (4, 9)]);
        synced(&follower).await;
        fake.set(&[(1, 1), (2, 2), (3, 3)]);
        assert_eq!(synced(&follower).await, (3, vec![(true, vec![1, 2, 3], vec![2, 3])]));
        fake.set(&[(1, 1), (2, 2), (3, 3), (5, 4)]);
        assert_eq!(synced(&follower).await, (4, vec![(false, vec![5], vec![4])]));
    }

    #[tokio::test]
    async fn those_who_wait_share_an_answer_that_was_asked_for_after_they_came() {
        let fake = Fake::default();
        let follower = Arc::new(fake.follower());
        let first = follower.turn.lock().await;
        let waiting = futures::future::join_all((0..10).map(|_| follower.sync(drop)));
        let (answers, ()) = tokio::join!(waiting, async move { drop(first) });
        assert!(answers.into_iter().all(|answer| answer.is_ok()));
        assert_eq!(fake.calls.load(Ordering::SeqCst), 1);
        follower.sync(drop).await.unwrap();
        assert_eq!(fake.calls.load(Ordering::SeqCst), 2, "what may have been saved since is asked for");
    }
}
