//! Who is calling: bearer tokens, checked with the subscription service and remembered for a moment.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::{Identity, Role};
use proto::{
    channel::GrpcChannel,
    error::{ApiError, ErrorCode},
    internal::v1::{AuthenticateRequest, AuthenticateResponse, configuration_client::ConfigurationClient},
};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tonic::{Code, Status, metadata::MetadataMap};

/// Tells who a token stands for.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Who it is.
    ///
    /// # Errors
    /// UNAUTHENTICATED for a token that is not valid (any more), UNAVAILABLE if that cannot be found out now.
    async fn authenticate(&self, token: &str) -> Result<Identity, Status>;
}

/// Who sent a request.
///
/// # Errors
/// UNAUTHENTICATED without a valid token, UNAVAILABLE if it cannot be checked now.
pub async fn caller(authenticator: &dyn Authenticator, metadata: &MetadataMap) -> Result<Identity, Status> {
    let Some(token) = bearer(metadata) else {
        return Err(unauthenticated("a token is required: send `authorization: Bearer <token>`"));
    };
    authenticator.authenticate(token).await
}

pub(crate) fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let (scheme, token) = metadata.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn unauthenticated(message: &str) -> Status {
    ApiError::new(ErrorCode::Unauthenticated, message).into()
}

/// How long an answer is taken for true. A revoked token works at most this long at another service.
const FRESH: Duration = Duration::from_millis(500);
/// How long an old answer serves while the subscription service cannot be reached: publishers go on through a restart.
const STALE: Duration = Duration::from_secs(300);
/// How long an answer about a token that is not known may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Tokens remembered at most; beyond it all are forgotten, which costs a question each.
const CAPACITY: usize = 10_000;

/// Asks the subscription service.
pub struct RemoteAuthenticator {
    client: ConfigurationClient<GrpcChannel>,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

/// An answer, when it was given, and when it was last asked for.
struct Known {
    answered: Instant,
    asked: Instant,
    /// When the token stops working; `None`: never.
    expires: Option<Instant>,
    identity: Identity,
}

impl Known {
    /// Whether it may serve, fresh or not.
    fn serves(&self) -> bool {
        self.answered.elapsed() < STALE && self.expires.is_none_or(|end| Instant::now() < end)
    }
}

impl std::fmt::Debug for RemoteAuthenticator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RemoteAuthenticator")
    }
}

impl RemoteAuthenticator {
    /// Asks through `channel`, which carries the services' credential.
    #[must_use]
    pub fn new(channel: GrpcChannel) -> Self {
        Self { client: ConfigurationClient::new(channel), known: Mutex::default() }
    }

    /// What is known of a token, and whether that is fresh.
    fn recall(&self, key: &[u8; 32]) -> Option<(Identity, bool)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(key).filter(|known| known.serves())?;
        Some((known.identity.clone(), known.asked.elapsed() < FRESH))
    }

    fn remember(&self, key: [u8; 32], answer: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(key, answer);
    }

    fn forget(&self, key: &[u8; 32]) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The subscription service is away: for a moment the next requests do not ask it either.
    fn postpone(&self, key: &[u8; 32]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(key) {
            known.asked = Instant::now();
        }
    }
}

#[async_trait]
impl Authenticator for RemoteAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Identity, Status> {
        let key = Sha256::digest(token.as_bytes()).into();
        let known = self.recall(&key);
        if let Some((identity, true)) = known {
            return Ok(identity);
        }
        let asked = Instant::now();
        // Who is known is not kept waiting for long.
        let patience = if known.is_some() { FRESH } else { PATIENCE };
        let mut client = self.client.clone();
        let answer = client.authenticate(AuthenticateRequest { token: token.to_owned() });
        let answer = tokio::time::timeout(patience, answer).await;
        match answer.unwrap_or_else(|_| Err(Status::unavailable("no answer in time"))) {
            Ok(answer) => {
                let answer = answer.into_inner();
                // Counted from before the question, so that it does not end too late. A time that is too long for a
                // clock is as good as none.
                let lifetime = answer.expires_in.map(lifetime).transpose()?;
                let expires = lifetime.and_then(|lifetime| asked.checked_add(lifetime));
                let identity = identity(answer)?;
                self.remember(key, Known { answered: asked, asked, expires, identity: identity.clone() });
                Ok(identity)
            }
            Err(status) if status.code() == Code::Unauthenticated => {
                self.forget(&key);
                Err(status)
            }
            Err(status) => {
                tracing::warn!(error = %status, "cannot check a token with the subscription service");
                self.postpone(&key);
                known.map(|(identity, _)| identity).ok_or_else(|| {
                    ApiError::new(ErrorCode::Unavailable, "the token cannot be checked now; try again").into()
                })
            }
        }
    }
}

fn lifetime(duration: prost_types::Duration) -> Result<Duration, Status> {
    Duration::try_from(duration).map_err(|_| Status::internal("the subscription service answered a time that is none"))
}

fn identity(answer: AuthenticateResponse) -> Result<Identity, Status> {
    let role = Role::from_name(&answer.role, answer.projects);
    let instance = match answer.instance.as_str() {
        "" => Ok(None),
        name => name.parse().map(Some),
    };
    match (role, instance) {
        (Some(role), Ok(instance)) => Ok(Identity { role, instance, name: answer.name }),
        _ => Err(Status::internal("the subscription service answered a role or instance that is not known here")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proto::{
        channel::LocalServices,
        internal::v1::{
            ChangesRequest, ChangesResponse, CheckPlanRequest, CheckPlanResponse, DeactivateFailingRequest,
            DeactivateFailingResponse,
            configuration_server::{Configuration, ConfigurationServer},
        },
    };
    use tonic::{Request, Response, service::Routes};

    use super::*;

    /// A subscription service that knows one token, or is away.
    #[derive(Clone, Default)]
    struct Fake(Arc<Mutex<Option<AuthenticateResponse>>>);

    #[tonic::async_trait]
    impl Configuration for Fake {
        async fn changes(&self, _: Request<ChangesRequest>) -> Result<Response<ChangesResponse>, Status> {
            Err(Status::unimplemented("not asked here"))
        }

        async fn authenticate(
            &self,
            _: Request<AuthenticateRequest>,
        ) -> Result<Response<AuthenticateResponse>, Status> {
            let answer = self.0.lock().unwrap().clone();
            answer.map(Response::new).ok_or_else(|| Status::unavailable("away"))
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

    impl Fake {
        /// An authenticator that has asked it about a token that works for this long.
        async fn asked(&self, expires_in: Option<Duration>) -> RemoteAuthenticator {
            let services = LocalServices::default();
            services.set(Routes::new(ConfigurationServer::new(self.clone())));
            *self.0.lock().unwrap() = Some(AuthenticateResponse {
                role: "member".into(),
                expires_in: expires_in.map(|time| prost_types::Duration::try_from(time).unwrap()),
                ..AuthenticateResponse::default()
            });
            let authenticator = RemoteAuthenticator::new(services.channel());
            assert!(authenticator.authenticate("token").await.is_ok());
            *self.0.lock().unwrap() = None;
            authenticator
        }
    }

    async fn verdict(authenticator: &RemoteAuthenticator) -> Option<Code> {
        authenticator.authenticate("token").await.err().map(|status| status.code())
    }

    /// As if the answer had been given so much earlier.
    fn age(authenticator: &RemoteAuthenticator, by: Duration) {
        for known in authenticator.known.lock().unwrap().values_mut() {
            known.answered -= by;
            known.asked -= by;
            known.expires = known.expires.map(|end| end - by);
        }
    }

    #[tokio::test]
    async fn an_old_answer_serves_while_the_service_is_away_and_no_longer_than_the_token() {
        for (lifetime, served) in [(None, 299), (Some(60), 58), (Some(600), 299), (Some(i64::MAX as u64), 299)] {
            let authenticator = Fake::default().asked(lifetime.map(Duration::from_secs)).await;
            age(&authenticator, Duration::from_secs(served));
            assert_eq!(verdict(&authenticator).await, None, "{lifetime:?}");
            age(&authenticator, Duration::from_secs(2));
            assert_eq!(verdict(&authenticator).await, Some(Code::Unavailable), "{lifetime:?}");
        }
    }

    #[tokio::test]
    async fn a_fresh_answer_serves_no_longer_than_the_token() {
        let authenticator = Fake::default().asked(Some(FRESH / 2)).await;
        assert_eq!(verdict(&authenticator).await, None);
        // Still fresh, but for its token.
        age(&authenticator, FRESH / 2);
        assert_eq!(verdict(&authenticator).await, Some(Code::Unavailable));
    }

    #[test]
    fn only_bearer_tokens_count() {
        let read = |value: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("authorization", value.parse().unwrap());
            bearer(&metadata).map(str::to_owned)
        };
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bearer  abc").as_deref(), Some("abc"));
        assert_eq!(read("Basic abc"), None);
        assert_eq!(read("Bearer "), None);
        assert_eq!(bearer(&MetadataMap::new()), None);
    }
}
