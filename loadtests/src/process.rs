//! What a process of this machine takes, as Linux tells under `/proc`.

use std::fs;
use std::time::Instant;

use serde::Serialize;

/// Clock ticks of a second in `/proc/PID/stat`: 100 to all programs, whatever the kernel's own (man 5 proc).
const TICKS: f64 = 100.0;

/// What it takes at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Resident memory.
    pub resident_mib: f64,
    /// Open files and sockets.
    pub descriptors: usize,
    /// Processor time since it began.
    pub cpu_seconds: f64,
}

/// What the process takes now. `None`: it is gone, another's, or this is no Linux.
pub fn usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold spaces and brackets; utime and stime are fields 14 and 15 of the whole line.
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some(Usage {
        resident_mib: kib.parse::<f64>().ok()? / 1024.0,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count(),
        cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS,
    })
}

/// The process that listens on a TCP port of this machine.
pub fn listening_on(port: u16) -> Option<u32> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| {
            let inodes = table.lines().filter_map(|line| listener(line, port));
            inodes.map(|inode| format!("socket:[{inode}]")).collect::<Vec<_>>()
        })
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
    })
}

/// The inode of the socket of a line of `/proc/net/tcp`, if it listens on `port`.
fn listener(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    // 0A is TCP_LISTEN.
    let listens = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == "0A";
    listens.then_some(*fields.get(9)?)
}

/// How busy the machine is: runnable tasks, the mean of the last minute.
pub fn machine_load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// Cores that a process kept busy between two moments.
pub fn cores(before: (Instant, Usage), after: (Instant, Usage)) -> f64 {
    let seconds = (after.0 - before.0).as_secs_f64();
    if seconds > 0.0 { (after.1.cpu_seconds - before.1.cpu_seconds) / seconds } else { 0.0 }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_port_and_takes_something() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("bound").port();
        assert_eq!(listening_on(port), Some(std::process::id()));
        let before = usage(std::process::id()).expect("it is ours");
        assert!(before.resident_mib > 1.0 && before.descriptors > 3, "{before:?}");
        drop(socket);
        assert_eq!(listening_on(port), None);
        assert!(usage(std::process::id()).expect("it is ours").descriptors < before.descriptors + 3);
        assert_eq!(usage(u32::MAX), None);
        assert!(machine_load().is_some());
    }

    #[test]
    fn only_listeners_count() {
        let line = |state: &str| {
            format!(
                "   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 12345 1"
            )
        };
        assert_eq!(listener(&line("0A"), 8080), Some("12345"));
        assert_eq!(listener(&line("01"), 8080), None);
        assert_eq!(listener(&line("0A"), 8081), None);
        assert_eq!(listener("  sl  local_address rem_address   st", 8080), None);
    }
}
