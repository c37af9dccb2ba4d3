//! What processes have used, as Linux tells it in `/proc`.

use std::{collections::BTreeMap, fs, time::Duration};

/// Ticks a second in which `/proc` counts; the same on every Linux that Rust runs on.
const TICKS: u64 = 100;

/// What a program and its children have used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time, that of children that have ended included.
    pub(crate) cpu: Duration,
    /// The most memory that one of its processes ever had resident, in bytes.
    pub(crate) peak: u64,
    /// What they have resident now, together; what they share counts for each.
    pub(crate) resident: u64,
}

/// Of a process with all that it has started; all zero if it has ended.
pub(crate) fn of(process: u32) -> Usage {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (child, stat) in processes() {
        children.entry(stat.parent).or_default().push(child);
    }
    let mut usage = Usage::default();
    let mut left = vec![process];
    while let Some(process) = left.pop() {
        left.extend(children.remove(&process).unwrap_or_default());
        let Some(stat) = stat(process) else { continue };
        usage.cpu += Duration::from_millis(stat.ticks * 1000 / TICKS);
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
        };
        usage.peak = usage.peak.max(bytes("VmHWM:").unwrap_or_default());
        usage.resident += bytes("VmRSS:").unwrap_or_default();
    }
    usage
}

struct Stat {
    parent: u32,
    ticks: u64,
}

fn processes() -> Vec<(u32, Stat)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            Some((process, stat(process)?))
        })
        .collect()
}

fn stat(process: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Stat> {
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    // utime, stime, and the same of children that were waited for.
    let ticks = (11..=14).map(number).sum::<Option<u64>>()?;
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_parents_are_found_behind_any_name() {
        let stat = parse("12 (a ) b) S 7 12 12 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0").unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 127));
        assert!(parse("12 (a").is_none());
    }

    #[test]
    fn this_process_has_used_something() {
        let usage = of(std::process::id());
        assert!(usage.peak > 1 << 20 && usage.resident > 1 << 20, "{usage:?}");
        assert_eq!(of(u32::MAX).resident, 0);
    }
}
