//! A clock that jumps, as after a suspended night or a wrong time server: nothing is lost, done twice or late for it.
//!
//! By libfaketime (Debian: faketime), which shifts the wall clock of a process of its own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

#[path = "common/binary.rs"]
mod binary;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const DAYS: [&str; 5] = ["+0", "-2d", "+400d", "-1d", "+0"];

fn library() -> Option<PathBuf> {
    let triplets = fs::read_dir("/usr/lib").ok()?.flatten();
    triplets.map(|triplet| triplet.path().join("faketime/libfaketime.so.1")).find(|path| path.is_file())
}

/// The lines of a success that are JSON; what else there is says how long the pieces of a long answer are.
fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    let kind = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all([head.as_str(), &kind, body].concat().as_bytes()).unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{reply}");
    body.lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>().join("\n")
}

fn shifted(data: &Path, library: &Path, clock: &Path) -> binary::Running {
    let mut command = binary::command(&binary::bundle(), data);
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
    // Looked up at every question; what deadlines and timers go by stays as it is, as it does on a machine.
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    binary::started(command)
}

#[test]
fn a_clock_that_jumps_costs_nothing() {
    let Some(library) = library() else {
        let strict = std::env::var("FORETYPE_GATE").is_ok_and(|gate| gate == "strict");
        assert!(!strict, "libfaketime is not installed (on Debian: apt install faketime)");
        println!("skipped: libfaketime is not installed (on Debian: apt install faketime)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (data, clock) = (folder.path().join("data"), folder.path().join("clock"));
    fs::write(&clock, DAYS[0]).unwrap();
    let mut service = shifted(&data, &library, &clock);
    let learn = |address: &str, number: usize| {
        let body = json!({"writer": "ann", "text": format!("Message {number}."), "idempotency_key": format!("{number}")});
        let learned: Value =
            serde_json::from_str(&ask(address, "POST", "/v1/learn", &body.to_string())).unwrap();
        learned["seq"].as_u64().unwrap()
    };
    for (number, day) in DAYS.into_iter().enumerate() {
        fs::write(&clock, day).unwrap();
        let body = json!({"text": "I can he", "writer": "ann", "session": "s", "min_confidence": 0, "budget_ms": 1_000});
        let answer: Value =
            serde_json::from_str(&ask(&service.address, "POST", "/v1/complete", &body.to_string())).unwrap();
        assert!(answer["suggestions"][0]["text"].as_str().unwrap().starts_with("lp"), "{day}: {answer}");
        assert!(answer["elapsed_ms"].as_f64().unwrap() < 1_000.0, "{day}: {answer}");
        let seq = number as u64 + 1;
        assert_eq!(learn(&service.address, number), seq);
        assert_eq!(learn(&service.address, number), seq, "{day}: sent again, learned once");
    }
    let export = ask(&service.address, "GET", "/v1/writers/ann/export", "");
    let events: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<_> = events.iter().map(|event| event["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        ["Message 0.", "Message 1.", "Message 2.", "Message 3.", "Message 4."],
        "in their order"
    );
    let at = |of: usize| events[of]["at"].as_i64().unwrap();
    assert!(at(1) < at(0) && at(2) > at(0) + 300 * 86_400_000, "the clock did jump: {export}");

    service.child.kill().unwrap();
    service.child.wait().unwrap();
    fs::write(&clock, "-3d").unwrap();
    let mut again = shifted(&data, &library, &clock);
    assert_eq!(ask(&again.address, "GET", "/v1/writers/ann/export", ""), export);
    again.child.kill().unwrap();
    again.child.wait().unwrap();
}
