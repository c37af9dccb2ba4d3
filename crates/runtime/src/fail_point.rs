//! Where a test can make the program die: between an effect that is durable and what tells of it. Only with the feature
//! `fail-points`; without it a point is nothing.

/// Dies here, as by `kill -9`, if `FAIL_POINT` names this point: `FAIL_POINT=history.recorded:3` is the third time that the
/// program comes to it.
#[cfg(feature = "fail-points")]
pub fn fail_point(name: &str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    static ARMED: OnceLock<Option<(String, AtomicU32)>> = OnceLock::new();
    let armed = ARMED.get_or_init(|| {
        let variable = std::env::var("FAIL_POINT").ok()?;
        let (name, times) = variable.split_once(':')?;
        Some((name.to_owned(), AtomicU32::new(times.parse().ok()?)))
    });
    if let Some((_, left)) = armed.as_ref().filter(|(armed, _)| armed == name)
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal comes to some thread; this one goes no further.
        loop {
            std::thread::park();
        }
    }
}

/// Nothing.
#[cfg(not(feature = "fail-points"))]
pub const fn fail_point(_: &str) {}
