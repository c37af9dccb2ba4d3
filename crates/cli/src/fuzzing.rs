//! Files that people give to the commands, for `tests/fuzz`.

use crate::commands::apply;

/// A file of `apply`: how many webhooks it has.
///
/// # Errors
/// Its mistakes.
///
/// # Panics
/// If a mistake is told of a line that is not there.
pub fn apply_file(bytes: &[u8]) -> Result<usize, String> {
    // For YAML a carriage return ends a line too.
    let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
    apply::webhooks_of(bytes).map_err(|mistakes| {
        assert!(!mistakes.is_empty(), "refused without a reason");
        for (line, text) in &mistakes {
            assert!((1..=lines + 1).contains(line), "line {line} of {lines}: {text}");
        }
        format!("{mistakes:?}")
    })
}
