//! Running the cells of tables, and telling all that are wrong at once.

use std::fmt::Debug;

use blackbox::rest::Answer;
use futures::{StreamExt as _, stream};
use hyper::HeaderMap;
use tonic::{Code, Status};

use super::world::ensure;

/// How many cells are looked at side by side.
const TOGETHER: usize = 12;
/// How many characters are told of what is wrong with a cell.
const LONGEST: usize = 600;

/// What came of the cells so far.
#[derive(Default)]
pub(super) struct Outcome {
    cells: usize,
    wrong: Vec<String>,
}

impl Outcome {
    /// Runs cells, each with its name.
    pub(super) async fn run<F: Future<Output = Result<(), String>>>(&mut self, cells: Vec<(String, F)>) {
        self.cells += cells.len();
        let told = |name: String, why: String| format!("{name}: {}", why.chars().take(LONGEST).collect::<String>());
        let cells = cells.into_iter().map(|(name, cell)| async move { cell.await.map_err(|why| told(name, why)) });
        let results: Vec<_> = stream::iter(cells).buffered(TOGETHER).collect().await;
        self.wrong.extend(results.into_iter().filter_map(Result::err));
    }

    /// Runs cells one after the other, for those that disturb each other.
    pub(super) async fn run_in_turn<F: Future<Output = Result<(), String>>>(&mut self, cells: Vec<(String, F)>) {
        for cell in cells {
            self.run(vec![cell]).await;
        }
    }

    /// Panics with all wrong cells, or if there were other than so many cells.
    pub(super) fn settle(self, expected: usize) {
        let Self { cells, wrong } = self;
        assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
        assert_eq!(cells, expected, "cells that were looked at");
    }
}

/// Whether the answer has this status, and, where that is a refusal, its documented form.
pub(super) fn check_status(answer: &Answer, expected: u16) -> Result<(), String> {
    let Answer { status, json, headers, .. } = answer;
    ensure(*status == expected, || format!("answered {status} instead of {expected}: {json}"))?;
    let code = match status {
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        409 => "conflict",
        412 => "precondition_failed",
        422 => "validation_failed",
        _ => return Ok(()),
    };
    ensure(json["code"] == code, || format!("{status} without the code `{code}`: {json}"))?;
    let has_message = json["message"].as_str().is_some_and(|message| !message.is_empty());
    ensure(has_message, || format!("{status} without a message: {json}"))?;
    let asks_for_token = headers.get("www-authenticate").is_some_and(|scheme| scheme == "Bearer");
    ensure(*status != 401 || asks_for_token, || format!("401 without `www-authenticate: Bearer`: {headers:?}"))
}

/// Whether the answer has this code; refusals say why.
pub(super) fn check_code<T>(answer: &Result<T, Status>, expected: Code) -> Result<(), String> {
    let (code, message) = match answer {
        Ok(_) => (Code::Ok, ""),
        Err(status) => (status.code(), status.message()),
    };
    ensure(code == expected, || format!("answered {code:?} instead of {expected:?}: {message}"))?;
    ensure(code == Code::Ok || !message.is_empty(), || format!("{code:?} without a message"))
}

/// An id that is hidden from the caller, and one that was never there.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) hidden: &'a str,
    /// Too long to be anything else in an answer.
    pub(super) never: &'a str,
}

impl Pair<'_> {
    /// Whether the answer about the hidden object is, byte for byte, the one about what was never there: whoever tries
    /// ids learns nothing.
    pub(super) fn check(self, hidden: &Answer, never: &Answer) -> Result<(), String> {
        let body = |answer: &Answer| String::from_utf8_lossy(&answer.bytes).into_owned();
        self.compare(
            (hidden.status, headers(&hidden.headers), body(hidden)),
            (never.status, headers(&never.headers), body(never)),
        )
    }

    /// The same for gRPC.
    pub(super) fn check_status(self, hidden: &Status, never: &Status) -> Result<(), String> {
        let parts = |status: &Status| {
            let headers = headers(&status.metadata().clone().into_headers());
            (status.code(), headers, status.message().to_owned())
        };
        self.compare(parts(hidden), parts(never))
    }

    fn compare<C: PartialEq + Debug>(
        self,
        hidden: (C, Vec<String>, String),
        never: (C, Vec<String>, String),
    ) -> Result<(), String> {
        let as_hidden = |text: &String| text.replace(self.never, self.hidden);
        let never = (never.0, never.1.iter().map(as_hidden).collect(), as_hidden(&never.2));
        ensure(hidden == never, || format!("{hidden:?} differs from what was never there: {never:?}"))
    }
}

/// Headers but those that follow from time and from the length of the body.
fn headers(headers: &HeaderMap) -> Vec<String> {
    let telling = headers.iter().filter(|(name, _)| *name != "date" && *name != "content-length");
    let mut texts: Vec<_> = telling.map(|(name, value)| format!("{name}: {value:?}")).collect();
    texts.sort();
    texts
}
