//! An error with its causes, for people.

use std::error::Error;

/// The error and its causes on one line, from the outside in. Many errors name their cause in their own text: a cause is
/// left out where its text has been said already.
#[must_use]
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut said = one_line(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = one_line(error);
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}

fn one_line(error: &dyn Error) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failed {
        #[error("cannot open the store: {source}; check data.dir")]
        Telling { source: std::io::Error },
        #[error("cannot start\n  at all")]
        Silent(#[source] Box<Failed>),
    }

    #[test]
    fn each_cause_is_told_once() {
        let telling = || Failed::Telling { source: std::io::Error::other("the disk is full") };
        assert_eq!(explain(&telling()), "cannot open the store: the disk is full; check data.dir");
        let outer = Failed::Silent(Box::new(telling()));
        assert_eq!(explain(&outer), "cannot start at all: cannot open the store: the disk is full; check data.dir");
    }
}
