//! Goes through the steps, and says of each what became of it.

use std::{pin::pin, process::ExitCode};

use anyhow::bail;
use futures::FutureExt as _;
use runtime::Program;

use super::{
    plan::Step,
    remote::{self, Done, Refusal},
    secrets::Secrets,
    show::label,
};
use crate::{
    out::{OutputClosed, complain, escape, quoted, say},
    rest::Rest,
};

/// Does what is to be done: updates, creates, deletes.
///
/// A step that fails stops no other update or create. It stops all deletes: it may have been to make what takes the
/// place of what is deleted.
pub(super) async fn carry_out(rest: &Rest, mut steps: Vec<Step<'_>>, mut secrets: Secrets) -> anyhow::Result<ExitCode> {
    steps.retain(Step::acts);
    steps.sort_by_key(Step::turn);
    // From here on a signal waits for the request under way: the secret of a webhook that is just made is not lost.
    let mut signal = pin!(Program::signal());
    let mut end: Option<&str> = None;
    let mut failed = 0;
    for step in &steps {
        if end.is_none() && signal.as_mut().now_or_never().is_some() {
            end = Some("it was interrupted");
        }
        let spared = (failed > 0 && matches!(step, Step::Delete(_))).then_some("a step before it failed");
        if let Some(reason) = end.or(spared) {
            failed += 1;
            complain(format_args!("error: {}: not done, because {reason}", label(step)));
            continue;
        }
        match remote::carry_out(rest, step).await {
            Ok(done) => match tell(step, &done, &mut secrets) {
                Err(error) if !error.is::<OutputClosed>() => {
                    failed += 1;
                    complain(format_args!("error: {}: {}", label(step), runtime::explain(error.as_ref())));
                }
                told => told?,
            },
            Err(refusal) => {
                failed += 1;
                complain(format_args!("error: {}: {}", label(step), escape(&refusal.text(step))));
                if matches!(refusal, Refusal::All(_)) {
                    end = Some("the server could not be asked");
                }
            }
        }
    }
    secrets.close()?;
    if failed > 0 {
        bail!("{failed} of {} steps failed; run apply again", steps.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what was done, and hands a new secret over.
fn tell(step: &Step<'_>, done: &Done, secrets: &mut Secrets) -> anyhow::Result<()> {
    match (step, done) {
        (Step::Create { wanted, .. }, Done::Created { id, secret }) => {
            // The secret first: the rest can be read from the server at any time.
            secrets.hand_over(&wanted.name, *id, secret)?;
            say!("created {} ({id})", quoted(&wanted.name))
        }
        _ => say!("done: {}", label(step)),
    }
}
