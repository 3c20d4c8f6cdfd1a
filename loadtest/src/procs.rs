//! CPU time and memory of process trees, read from /proc.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// One line of `/proc/PID/stat`, as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// User and system time, clock ticks.
    pub(crate) ticks: u64,
    /// When the process began, clock ticks since boot: tells a reused number apart.
    pub(crate) began: u64,
}

/// Parses `/proc/PID/stat`. The name in parentheses may itself hold blanks and parentheses.
pub(crate) fn parse_stat(text: &str) -> Option<Stat> {
    let rest = &text[text.rfind(')')? + 1..];
    let field = |at: usize| rest.split_ascii_whitespace().nth(at)?.parse::<u64>().ok();
    // Behind the name: state(0) ppid(1) ... utime(11) stime(12) ... starttime(19)
    Some(Stat { parent: u32::try_from(field(1)?).ok()?, ticks: field(11)? + field(12)?, began: field(19)? })
}

/// `VmRSS` out of `/proc/PID/status`, bytes; a zombie has none.
pub(crate) fn parse_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// All processes of the machine at one moment.
#[derive(Debug, Default)]
pub(crate) struct Table(HashMap<u32, Stat>);

impl Table {
    /// Reads `/proc` (or a likeness of it).
    pub(crate) fn read(proc: &Path) -> Table {
        let pids = std::fs::read_dir(proc).into_iter().flatten().flatten();
        let stats = pids.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
            // Processes end while we read; those are simply not there.
            Some((pid, parse_stat(&std::fs::read_to_string(entry.path().join("stat")).ok()?)?))
        });
        Table(stats.collect())
    }

    /// Every process.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.0.keys().copied().collect()
    }

    pub(crate) fn get(&self, pid: u32) -> Option<&Stat> {
        self.0.get(&pid)
    }

    /// `roots` and all their descendants that live.
    pub(crate) fn tree(&self, roots: &[u32]) -> Vec<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (pid, stat) in &self.0 {
            children.entry(stat.parent).or_default().push(*pid);
        }
        let mut tree: Vec<u32> = Vec::new();
        let mut open: Vec<u32> = roots.to_vec();
        while let Some(pid) = open.pop() {
            if self.0.contains_key(&pid) && !tree.contains(&pid) {
                tree.push(pid);
                open.extend(children.get(&pid).into_iter().flatten());
            }
        }
        tree.sort_unstable();
        tree
    }
}

/// CPU time of a tree over time: the time of children that have ended stays counted.
#[derive(Debug, Default)]
pub(crate) struct TreeTicks(HashMap<(u32, u64), u64>);

impl TreeTicks {
    /// Takes in a new moment and gives the ticks that the tree has used up to it.
    pub(crate) fn update(&mut self, table: &Table, tree: &[u32]) -> u64 {
        for pid in tree {
            if let Some(stat) = table.get(*pid) {
                self.0.insert((*pid, stat.began), stat.ticks);
            }
        }
        self.0.values().sum()
    }
}

/// The share of the machine's CPU that was busy between two readings of `/proc/stat`.
pub(crate) fn busy_share(before: &str, after: &str) -> Option<f64> {
    let read = |text: &str| {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        // guest time (8, 9) is in user time already; idle is 3, iowait 4.
        let fields: Vec<u64> = line.split_ascii_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
        Some((fields.iter().sum::<u64>(), fields.get(3)? + fields.get(4)?))
    };
    let ((all_before, idle_before), (all_after, idle_after)) = (read(before)?, read(after)?);
    let all = all_after.checked_sub(all_before).filter(|all| *all > 0)?;
    Some(1.0 - idle_after.saturating_sub(idle_before) as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, name: &str, parent: u32, user: u64, system: u64, began: u64) -> String {
        format!(
            "{pid} ({name}) S {parent} 1 1 0 -1 4194560 9 0 0 0 {user} {system} 77 88 20 0 4 0 {began} 1000 200 1\n"
        )
    }

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let parsed = parse_stat(&stat(7, "a) S 99 (b c", 3, 100, 20, 555)).unwrap();
        assert_eq!(parsed, Stat { parent: 3, ticks: 120, began: 555 });
        assert_eq!(parse_stat("7 (x"), None);
    }

    #[test]
    fn rss_is_read_in_bytes() {
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t   2048 kB\nThreads: 1\n"), Some(2 << 20));
        assert_eq!(parse_rss("Name:\tzombie\n"), None);
    }

    #[test]
    fn a_tree_has_all_descendants_and_no_others() {
        let table = |lines: &[(u32, u32, u64)]| {
            Table(
                lines
                    .iter()
                    .map(|(pid, parent, ticks)| (*pid, Stat { parent: *parent, ticks: *ticks, began: 1 }))
                    .collect(),
            )
        };
        let all = table(&[(1, 0, 5), (10, 1, 5), (11, 10, 5), (12, 11, 5), (20, 1, 5), (21, 20, 5)]);
        assert_eq!(all.tree(&[10]), [10, 11, 12]);
        assert_eq!(all.tree(&[10, 11, 20]), [10, 11, 12, 20, 21]);
        assert_eq!(all.tree(&[99]), [0u32; 0]);

        let mut ticks = TreeTicks::default();
        assert_eq!(ticks.update(&all, &all.tree(&[10])), 15);
        // 12 ends, 11 works on: what 12 used stays.
        let later = table(&[(1, 0, 5), (10, 1, 5), (11, 10, 9)]);
        assert_eq!(ticks.update(&later, &later.tree(&[10])), 19);
    }

    #[test]
    fn the_real_proc_has_this_process() {
        let table = Table::read(Path::new("/proc"));
        assert!(table.get(std::process::id()).is_some());
        assert!(table.tree(&[std::process::id()]).contains(&std::process::id()));
    }

    #[test]
    fn busy_is_all_but_idle_and_waiting() {
        let busy = busy_share("cpu  100 0 100 800 0 0 0 0 0 0\n", "cpu  150 0 150 880 20 0 0 0 9 9\n").unwrap();
        assert!((busy - 0.5).abs() < 1e-9);
    }
}
