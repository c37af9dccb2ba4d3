//! The harness of the black-box tests: it starts the servers that the product needs, the product itself in either
//! mode, and receivers that answer as told; and it speaks REST and gRPC to them like anybody else would.
//!
//! Nothing here uses the product's own code but the generated gRPC client: what the product says and signs is checked
//! by code that does not come from it.
//!
//! | module | what for |
//! |---|---|
//! | [`wait`] | waiting for something to become true; the only place that sleeps |
//! | [`run`] | the folder of this run, and the watchdog that ends everything when the run ends |
//! | [`process`] | one started program: its log, signals, kill -9 |
//! | [`ports`] | free TCP ports, none given twice |
//! | [`servers`] | PostgreSQL and RabbitMQ |
//! | [`receiver`] | the endpoint that webhooks post to |
//! | [`proxy`] | breaks connections on purpose |
//! | [`product`] | the programs under test, in embedded or distributed mode |
//! | [`prometheus`] | who watches a product |
//! | [`rest`], [`grpc`], [`publisher`], [`browser`] | clients |
//! | [`abuser`], [`frames`] | abuse of the product's listeners, in HTTP/2 byte by byte |
//! | [`ordinary`] | how long an ordinary client has to wait meanwhile |
//! | [`collector`] | where traces are told |
//! | [`jwt`] | tokens as Testmo core signs them |
//! | [`events`], [`load`] | events to publish; events published all the time |
//! | [`oracle`] | whether what was accepted, what came and what is on record agree |
//! | [`outage`] | PostgreSQL away for a while under load |
//! | [`schedule`] | retries on time while many deliveries wait |
//! | [`webhooks`], [`history`] | what REST shows of them |
//! | [`clock`] | a wall clock for programs under test that is set while they run |
//! | [`disk`] | a small disk that tests fill |
//! | [`signature`] | the receiver's side of signing |

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

pub mod abuser;
pub mod browser;
pub mod clock;
pub mod collector;
pub mod disk;
pub mod events;
pub mod frames;
pub mod grpc;
pub mod history;
pub mod jwt;
pub mod load;
pub mod oracle;
pub mod ordinary;
pub mod outage;
pub mod ports;
pub mod process;
pub mod product;
pub mod prometheus;
pub mod proxy;
pub mod publisher;
pub mod random;
pub mod receiver;
pub mod rest;
pub mod run;
pub mod running;
pub mod schedule;
pub mod servers;
pub mod signature;
pub mod wait;
pub mod webhooks;

/// Held by every test that runs; by one that measures, so that no other does.
static RUNNING: RwLock<()> = RwLock::new(());

/// Runs the body of a test on a runtime of its own.
pub fn run_test(test: impl Future<Output = ()>) {
    let _beside_others = RUNNING.read().unwrap_or_else(PoisonError::into_inner);
    block_on(test);
}

/// As [`run_test`], while no other test runs: for what compares times.
pub fn run_test_alone(test: impl Future<Output = ()>) {
    let _alone = RUNNING.write().unwrap_or_else(PoisonError::into_inner);
    block_on(test);
}

fn block_on(test: impl Future<Output = ()>) {
    let begun = Instant::now();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the test")
        .block_on(test);
    note(begun.elapsed());
}

/// Adds how long this thread's test took to `target/<profile>/test-times`, of which `tests/run` tells the longest.
fn note(took: Duration) {
    let thread = std::thread::current();
    let program = std::env::current_exe().expect("the path of this program");
    let Some(folder) = program.parent().and_then(Path::parent) else { return };
    let file = OpenOptions::new().create(true).append(true).open(folder.join("test-times"));
    let line = format!("{:.1} s  {}\n", took.as_secs_f64(), thread.name().unwrap_or("?"));
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("room for a line");
}

/// Spawns a task of the harness; it ends with the runtime of its test.
#[expect(clippy::disallowed_methods, reason = "`runtime::Tasks` is the product's; a test's tasks end with its runtime")]
pub fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}

/// Makes one `#[test]` in each mode of every listed `async fn(Mode)` of this module; after `alone:`, such that no other test
/// runs beside.
#[macro_export]
macro_rules! in_both_modes {
    (alone: $($name:ident),+ $(,)?) => {
        $crate::in_both_modes!(@ run_test_alone: $($name),+);
    };
    (@ $run:ident: $($name:ident),+) => {
        mod embedded {
            $(#[test] fn $name() { $crate::$run(super::$name($crate::product::Mode::Embedded)); })+
        }
        mod distributed {
            $(#[test] fn $name() { $crate::$run(super::$name($crate::product::Mode::Distributed)); })+
        }
    };
    ($($name:ident),+ $(,)?) => {
        $crate::in_both_modes!(@ run_test: $($name),+);
    };
}
