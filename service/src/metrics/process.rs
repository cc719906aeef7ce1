//! The process: what it is, and what it takes of the machine.

use std::fs;

use prometheus::{Counter, Gauge, GaugeVec, IntGauge};

use super::family::{Counts, Family, Unit, families, family, register};
use super::labels::{BUNDLE, VERSION};

families! {
    /// The process. Names beginning with `process_` are those of every Prometheus client; they are 0 but on Linux.
    Process {
        build: GaugeVec = family("foretype_build_info", Unit::Info, "Which release serves which models.")
            .by(&[VERSION, BUNDLE])
            .reading("A change marks a roll-out in a graph.");
        start_took: Gauge =
            family("foretype_start_seconds", Unit::Seconds, "From the start of the process to its first answer.")
                .reading("Below 1 s with the shipped models.");
        budget: Gauge =
            family("foretype_budget_seconds", Unit::Seconds, "The budget of requests that name none (`--budget-ms`).")
                .reading("The line in graphs of latency.");
        cpu: Counter = family("process_cpu_seconds_total", Unit::Seconds, "Processor time, of user and system.")
            .reading("Its rate is the cores in use.");
        resident: IntGauge = family("process_resident_memory_bytes", Unit::Bytes, "Memory in RAM, mapped models included.")
            .reading("About 350 MiB, what `foretype_kv_bytes` and `foretype_writers_warm_bytes` say, and 128 KiB for each WebSocket.");
        virtual_memory: IntGauge = family("process_virtual_memory_bytes", Unit::Bytes, "Address space.")
            .reading("Says little; other programs' dashboards want it.");
        open_fds: IntGauge = family("process_open_fds", Unit::Of("descriptors"), "Open file descriptors.")
            .reading("One for each connection, and some tens.");
        max_fds: IntGauge = family("process_max_fds", Unit::Of("descriptors"), "File descriptors that may be open.")
            .reading("Where connections are refused.");
        threads: IntGauge = family("process_threads", Unit::Of("threads"), "Threads.")
            .reading("Does not grow with connections.");
        started: Gauge =
            family("process_start_time_seconds", Unit::Seconds, "When the process started, since the Unix epoch.")
                .reading("Changes at a restart.");
    }
}

/// Ticks in a second of processor time. The kernel scales to this for every program (`USER_HZ`).
const TICKS: f64 = 100.0;

/// What the kernel says of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    cpu_seconds: f64,
    pub(crate) resident_kib: i64,
    virtual_kib: i64,
    threads: i64,
    pub(crate) open_fds: i64,
    max_fds: i64,
}

impl Usage {
    /// `None`: this system has no `/proc`.
    pub(crate) fn now() -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        let mut usage = Self::of(&read("stat")?, &read("status")?, &read("limits")?)?;
        // One is the folder that is being read.
        usage.open_fds = i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()? - 1;
        Some(usage)
    }

    /// From the files of these names; see proc(5).
    fn of(stat: &str, status: &str, limits: &str) -> Option<Self> {
        // The second field is the name, which may hold anything; user and system time are the 14th and 15th.
        let (_, fields) = stat.rsplit_once(')')?;
        let times: Vec<f64> =
            fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        let number = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            cpu_seconds: times.iter().sum::<f64>() / TICKS,
            resident_kib: number(status, "VmRSS:")?,
            virtual_kib: number(status, "VmSize:")?,
            threads: number(status, "Threads:")?,
            open_fds: 0,
            // Where nothing is set, nothing limits.
            max_fds: number(limits, "Max open files").unwrap_or(i64::MAX),
        })
    }
}

impl Process {
    /// Takes over what the kernel says now.
    pub(super) fn look(&self) {
        let Some(usage) = Usage::now() else { return };
        self.cpu.inc_by((usage.cpu_seconds - self.cpu.get()).max(0.0));
        self.resident.set(usage.resident_kib << 10);
        self.virtual_memory.set(usage.virtual_kib << 10);
        self.threads.set(usage.threads);
        self.open_fds.set(usage.open_fds);
        self.max_fds.set(usage.max_fds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_moves_no_field() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 500 0 0 0 150 50 0 0 20 0 9 0 1000 1 1";
        let status = "Name:\tfore\nVmSize:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t9\n";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        let usage = Usage::of(stat, status, limits);
        let expected = Usage {
            cpu_seconds: 2.0,
            resident_kib: 1024,
            virtual_kib: 2048,
            threads: 9,
            open_fds: 0,
            max_fds: 1024,
        };
        assert_eq!(usage, Some(expected));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_seen() {
        let usage = Usage::now().expect("Linux has /proc");
        assert!(usage.resident_kib > 1_000 && usage.virtual_kib > usage.resident_kib, "{usage:?}");
        assert!(usage.threads >= 1 && usage.open_fds >= 3 && usage.max_fds >= usage.open_fds, "{usage:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells() {
        let file = fs::File::open("/proc/self/status");
        let usage = Usage::now().unwrap_or_default();
        assert!(file.is_ok() && usage.open_fds > 0 && usage.resident_kib > 1_000, "{usage:?}");
    }
}
