//! The rules of the product, without I/O and without async: what an event and a webhook are, which webhook gets which
//! event, what an attempt's answer means, when it is repeated, how it is signed, and where it may go.

mod attempt;
mod clock;
mod event_type;
mod explanation;
mod filter;
mod header;
mod ids;
pub mod inactive;
mod instance;
mod matching;
mod plan;
mod retry;
mod role;
mod selector;
mod signing;
mod skip;
pub mod target;
mod trace;
mod webhook;

pub use attempt::{ErrorClass, SLOW_AFTER, Verdict, classify_status};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use event_type::{EventGroup, EventType, UnknownEventType};
pub use explanation::{Explained, Explanation, Happening, Rule, RuleOutcome};
pub use filter::{ConditionOutcome, Filter};
pub use header::{CustomHeader, MASKED, check_headers};
pub use ids::{IdSource, SystemIds, delivery_id, entry_id};
pub use instance::{InstanceId, InvalidInstance};
pub use matching::{MatchIndex, Subscription};
pub use plan::{InvalidPlan, Plan};
pub use retry::{InvalidSchedule, MOST_ATTEMPTS, RetrySchedule};
pub use role::{Identity, Role};
pub use selector::{EventSelector, UnknownSelector};
pub use signing::{InvalidSecret, Secret, SignatureError, SigningMistake, StandardHeaders, body_sha256};
pub use skip::SkipReason;
pub use target::{AddressPolicy, InvalidTarget};
pub use trace::TraceContext;
pub use webhook::{FieldError, Scope, UnknownKind, WebhookDraft, WebhookKind, WebhookSpec, host_changed};
