//! How far a run has got and how its tests ended, as numbers and as a bar.

use proto::v1::{AutomationRun, Run};

/// Squares of a bar.
const CELLS: i64 = 12;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: i64,
    pub(crate) passed: i64,
    pub(crate) failed: i64,
    /// With a result that counts as neither passed nor failed, such as skipped or blocked.
    pub(crate) other: i64,
    pub(crate) untested: i64,
}

impl Counts {
    /// `None` where the run says nothing of its tests.
    pub(crate) fn of_run(run: &Run) -> Option<Self> {
        Self::new(run.total_count, run.untested_count, run.completed_count, run.success_count, run.failure_count)
    }

    /// `None` where the run says nothing of its tests.
    pub(crate) fn of_automation_run(run: &AutomationRun) -> Option<Self> {
        Self::new(run.total_count, run.untested_count, run.completed_count, run.success_count, run.failure_count)
    }

    fn new(
        total: Option<i64>,
        untested: Option<i64>,
        completed: Option<i64>,
        passed: Option<i64>,
        failed: Option<i64>,
    ) -> Option<Self> {
        total.or(untested).or(completed).or(passed).or(failed)?;
        let known = |count: Option<i64>| count.unwrap_or_default().max(0);
        let (passed, failed) = (known(passed), known(failed));
        let other = known(completed).saturating_sub(passed).saturating_sub(failed).max(0);
        let tested = passed.saturating_add(failed).saturating_add(other);
        let untested = match (untested, total) {
            (None, Some(total)) => total.saturating_sub(tested).max(0),
            _ => known(untested),
        };
        let total = total.map_or_else(|| tested.saturating_add(untested), |total| total.max(0));
        Some(Self { total, passed, failed, other, untested })
    }

    /// Each number with its square and its word; `other` only where there are any.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (char, i64, &'static str)> + use<> {
        let parts = [
            ('🟩', self.passed, "passed"),
            ('🟥', self.failed, "failed"),
            ('🟨', self.other, "other"),
            ('⬜', self.untested, "untested"),
        ];
        parts.into_iter().filter(|(_, number, word)| *number > 0 || *word != "other")
    }

    /// `44 passed, 3 failed, 1 other, 0 untested`.
    pub(crate) fn numbers(&self) -> String {
        let parts: Vec<_> = self.parts().map(|(_, number, word)| format!("{number} {word}")).collect();
        parts.join(", ")
    }

    /// The numbers and how many tests there are.
    pub(crate) fn sentence(&self) -> String {
        format!("{}, {} in all", self.numbers(), self.total)
    }

    /// How many of a hundred passed; all only when none is missing. `None` where there are no tests.
    pub(crate) fn percent(&self) -> Option<i64> {
        let total = i128::from(self.total.max(self.passed));
        (total > 0).then(|| i64::try_from(i128::from(self.passed) * 100 / total).unwrap_or_default())
    }

    /// Squares in the proportions of the numbers, at least one for each kind that there is; empty without tests.
    pub(crate) fn bar(&self) -> String {
        let parts: Vec<_> = self.parts().filter(|(_, number, _)| *number > 0).collect();
        let sum: i128 = parts.iter().map(|(_, number, _)| i128::from(*number)).sum();
        let largest = parts.iter().map(|(_, number, _)| *number).max().unwrap_or_default();
        let cells =
            |number: i64| i64::try_from(i128::from(number) * i128::from(CELLS) / sum).unwrap_or_default().max(1);
        let used: i64 = parts.iter().map(|(_, number, _)| cells(*number)).sum();
        let (mut bar, mut rest) = (String::new(), CELLS - used);
        for (square, number, _) in parts {
            // What rounding leaves over or takes too much is the largest part's, where it is seen least.
            let spare = if number == largest { std::mem::take(&mut rest) } else { 0 };
            bar.extend((0..cells(number) + spare).map(|_| square));
        }
        bar
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(passed: i64, failed: i64, other: i64, untested: i64) -> Counts {
        Counts { total: passed + failed + other + untested, passed, failed, other, untested }
    }

    #[test]
    fn bars_have_the_proportions_of_the_numbers() {
        assert_eq!(counts(44, 3, 1, 0).bar(), "🟩🟩🟩🟩🟩🟩🟩🟩🟩🟩🟥🟨");
        assert_eq!(counts(320, 0, 0, 0).bar(), "🟩".repeat(12));
        assert_eq!(counts(0, 0, 0, 48).bar(), "⬜".repeat(12));
        assert_eq!(counts(1, 1, 1, 100_000).bar(), "🟩🟥🟨⬜⬜⬜⬜⬜⬜⬜⬜⬜");
        assert_eq!(counts(0, 0, 0, 0).bar(), "");
        assert_eq!((counts(319, 1, 0, 0).percent(), counts(0, 0, 0, 0).percent()), (Some(99), None));
    }

    #[test]
    fn what_is_not_told_follows_from_the_rest() {
        let new = Counts::new;
        assert_eq!(new(None, None, None, None, None), None);
        assert_eq!(new(Some(5), None, None, Some(3), None), Some(counts(3, 0, 0, 2)));
        assert_eq!(new(None, Some(1), Some(4), Some(2), Some(1)), Some(counts(2, 1, 1, 1)));
        assert_eq!(
            new(Some(48), Some(0), Some(48), Some(44), Some(3)).unwrap().sentence(),
            "44 passed, 3 failed, 1 other, 0 untested, 48 in all"
        );
    }

    proptest! {
        #[test]
        fn any_numbers_make_a_bar_of_one_length(numbers in prop::array::uniform5(prop::option::of(any::<i64>()))) {
            let [total, untested, completed, passed, failed] = numbers;
            let Some(counts) = Counts::new(total, untested, completed, passed, failed) else { return Ok(()) };
            let length = counts.bar().chars().count();
            prop_assert!(length == 0 || length == 12, "{}", counts.bar());
            for (square, number, _) in counts.parts() {
                prop_assert_eq!(counts.bar().contains(square), number > 0);
            }
            prop_assert!(counts.percent().is_none_or(|percent| (0..=100).contains(&percent)));
        }
    }
}
