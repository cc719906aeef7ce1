//! The binary itself: it serves the shipped models, stops cleanly when asked, and refuses to start with a reason.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, reason = "the shared module is not a crate")]

#[path = "common/binary.rs"]
mod binary;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use binary::{Running, bundle, command, start};
use foretype::store::{Sqlite, Store, WriterKey};

/// A request whose body has `length` bytes, `body` the first of them.
fn send(socket: &mut TcpStream, path: &str, length: usize, body: &str) {
    let headers = "host: localhost\r\ncontent-type: application/json\r\n";
    write!(socket, "POST {path} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}").unwrap();
}

/// Until the last bytes of an answer are `end`.
fn receive(socket: &mut TcpStream, end: &str) -> String {
    let mut reply = Vec::new();
    let mut byte = [0];
    while !reply.ends_with(end.as_bytes()) && socket.read(&mut byte).unwrap() > 0 {
        reply.push(byte[0]);
    }
    String::from_utf8(reply).unwrap()
}

/// What `foretype serve` says when it will not start.
fn refusal(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "it started: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn asked_to_stop_it_ends_what_is_in_flight_and_writes_snapshots() {
    let data = tempfile::tempdir().unwrap();
    let Running { mut child, address, _out } = start(data.path());
    let mut socket = TcpStream::connect(&address).unwrap();
    let lesson = r#"{"writer":"anna","text":"The zorbex is calibrated."}"#;
    send(&mut socket, "/v1/learn", lesson.len(), lesson);
    assert!(receive(&mut socket, "}").ends_with(r#"{"seq":1}"#));
    drop(socket);
    // Half a request: the other half comes after the signal.
    let body = r#"{"text":"Thanks for calling, I can he","writer":"anna"}"#;
    let (early, late) = body.split_at(20);
    let mut socket = TcpStream::connect(&address).unwrap();
    send(&mut socket, "/v1/complete", body.len(), early);
    std::thread::sleep(Duration::from_millis(100));
    let asked = Instant::now();
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    std::thread::sleep(Duration::from_millis(100));
    write!(socket, "{late}").unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("\"suggestions\":[{"), "{reply}");
    assert!(child.wait().unwrap().success());
    assert!(asked.elapsed() < Duration::from_secs(9), "it did not wait for connections to time out");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Sqlite::open_to_read(data.path()).unwrap();
    let anna = WriterKey { tenant: "default".into(), writer: "anna".into() };
    let stored = runtime.block_on(store.load(&anna)).unwrap().unwrap();
    assert!(stored.snapshot.is_some() && stored.events.is_empty(), "nothing is left to replay");
}

#[test]
fn a_damaged_or_missing_file_of_the_bundle_is_named() {
    let data = tempfile::tempdir().unwrap();
    let files: Vec<_> = fs::read_dir(bundle()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(files.len() >= 9, "{files:?}");
    for file in &files {
        let copy = tempfile::tempdir().unwrap();
        for other in files.iter().filter(|other| *other != file) {
            symlink(bundle().canonicalize().unwrap().join(other), copy.path().join(other)).unwrap();
        }
        let path = copy.path().join(file);
        let mut bytes = fs::read(bundle().join(file)).unwrap();
        // A digit of a hash that is changed in the manifest reads as damage to the file it is of.
        let at = if file == "bundle.toml" { 0 } else { bytes.len() / 2 };
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        let damaged = refusal(command(copy.path(), data.path()));
        assert!(damaged.contains(&*path.to_string_lossy()), "{damaged}");
        fs::remove_file(&path).unwrap();
        let missing = refusal(command(copy.path(), data.path()));
        assert!(missing.contains(&*path.to_string_lossy()), "{missing}");
        for message in [damaged, missing] {
            assert!(
                message.contains("foretype build") || message.contains("--bundle"),
                "the way out: {message}"
            );
        }
    }
}

#[test]
fn a_library_that_is_not_onnx_runtime_is_named() {
    let data = tempfile::tempdir().unwrap();
    let library = std::env::current_exe().unwrap();
    let mut command = command(&bundle(), data.path());
    command.args(["--predictors", "gpt2", "--runtime"]).arg(&library);
    let message = refusal(command);
    assert!(message.contains(&*library.to_string_lossy()), "{message}");
    assert!(message.contains("make build") || message.contains("ORT_DYLIB_PATH"), "the way out: {message}");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let message = refusal(command(&bundle(), &file.join("data")));
    assert!(message.contains(&*file.join("data").to_string_lossy()), "{message}");
    assert!(message.contains("--data"), "the way out: {message}");
}
