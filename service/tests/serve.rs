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
use std::path::Path;
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

/// What `foretype keys` says on standard output.
fn keys(data: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foretype"));
    let output = command.arg("keys").args(arguments).arg("--data").arg(data).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn keys_of_a_folder_without_a_store_are_an_error_and_make_none() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("elsewhere");
    for arguments in [&["list"][..], &["revoke", "4f1c0a9be2d7"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foretype"));
        command.arg("keys").args(arguments).arg("--data").arg(&data);
        let message = refusal(command);
        assert!(message.contains("no store in") && message.contains(&*data.to_string_lossy()), "{message}");
        assert!(message.contains("--data"), "the way out: {message}");
        assert!(!data.exists(), "{arguments:?}");
    }
    keys(&data, &["add"]);
    assert_eq!(keys(&data, &["list"]).lines().count(), 2);
}

/// The status of a completion.
fn status(address: &str, key: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let body = r#"{"text":"Thanks for calling, I can he"}"#;
    let headers = format!(
        "host: foretype.example.com\r\ncontent-type: application/json\r\nauthorization: Bearer {key}"
    );
    let length = body.len();
    write!(socket, "POST /v1/complete HTTP/1.1\r\n{headers}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    reply["HTTP/1.1 ".len()..][..3].to_owned()
}

#[test]
fn keys_are_added_and_revoked_beside_a_running_service() {
    let data = tempfile::tempdir().unwrap();
    let mut open = Command::new(env!("CARGO_BIN_EXE_foretype"));
    open.args(["serve", "--listen", "0.0.0.0:0", "--admin-listen", "127.0.0.1:0", "--predictors", "domain"]);
    open.arg("--bundle").arg(bundle()).arg("--data").arg(data.path());
    let message = refusal(open);
    assert!(message.contains("foretype keys add"), "the way out: {message}");

    let ann = keys(data.path(), &["add", "--writer", "ann", "--scope", "complete"]);
    let Running { mut child, address, _out } = start(data.path());
    assert_eq!((status(&address, &ann), status(&address, "none")), ("200".into(), "401".into()));
    let ben = keys(data.path(), &["add", "--tenant", "acme", "--team", "desk", "--writer", "ben"]);
    let listed = keys(data.path(), &["list"]);
    let rows: Vec<Vec<_>> = listed.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["key", "tenant", "writer", "team", "scopes"]);
    let mut known: Vec<_> = rows[1..].iter().map(|row| row[1..].to_vec()).collect();
    known.sort_unstable();
    assert_eq!(known, [["acme", "ben", "desk", "complete,learn"], ["default", "ann", "-", "complete"]]);
    assert!(!listed.contains(&ann) && !listed.contains(&ben), "no secrets: {listed}");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(status(&address, &ben), "200");
    assert!(!keys(data.path(), &["revoke", &ann]).contains("the last"));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((status(&address, &ann), status(&address, &ben)), ("401".into(), "200".into()));
    assert!(
        keys(data.path(), &["revoke", &ben]).contains("the last. A service that has had one since its start")
    );
    assert!(keys(data.path(), &["list"]).starts_with("No keys. A service that has had one since its start"));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(status(&address, &ben), "401", "the door stays shut");
    child.kill().unwrap();
    child.wait().unwrap();
}
