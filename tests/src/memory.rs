//! What the agent of a board holds in memory.

use crate::board::Board;

/// Memory of `installd` and `fetchd` together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident: what both have mapped counts twice.
    pub rss_kib: u64,
    /// Proportional: what both have mapped counts once.
    pub pss_kib: u64,
    /// Resident, and in no file.
    pub anon_kib: u64,
}

impl Memory {
    /// What it is now.
    pub fn of(board: &Board) -> Self {
        let mut sum = Self::default();
        for pid in board.processes() {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.contains("installd") || command.contains("fetchd") {
                let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
                let field = |name: &str| {
                    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
                    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
                };
                sum.rss_kib += field("Rss:");
                sum.pss_kib += field("Pss:");
                sum.anon_kib += field("Anonymous:");
            }
        }
        sum
    }

    /// The higher one of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            rss_kib: self.rss_kib.max(other.rss_kib),
            pss_kib: self.pss_kib.max(other.pss_kib),
            anon_kib: self.anon_kib.max(other.anon_kib),
        }
    }
}
