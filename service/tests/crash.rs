//! A real process is killed while it learns; whatever it acknowledged is there when it comes back.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use foretype::server::{self, Listeners};
use serde_json::Value;

const ROUNDS: u64 = 10;
const CLIENTS: usize = 16;
/// Two writers, so that a commit holds events of both.
const WRITERS: [&str; 2] = ["anna", "ben"];

/// The process that is killed: the service over a fixed engine, in the folder it is told.
#[test]
#[ignore = "run by nothing_acknowledged_is_lost"]
fn serve_until_killed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let service = common::Service::over(Path::new(&std::env::var("TEST_FOLDER").unwrap()));
        let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
        let listeners = Listeners { public: bind().await.unwrap(), admin: bind().await.unwrap() };
        let address = listeners.public.local_addr().unwrap();
        // Beside the harness's own output; the parent looks for the mark.
        writeln!(std::io::stderr(), "listening {address}").unwrap();
        server::run(listeners, service.app, std::future::pending()).await.unwrap();
    });
}

fn start(folder: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serve_until_killed", "--ignored", "--nocapture"])
        .env("TEST_FOLDER", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut marks =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("listening ").map(str::to_owned));
    let address = marks.next().expect("it starts").parse().unwrap();
    // Drained, so that the child never blocks on a full pipe.
    thread::spawn(move || marks.count());
    (child, address)
}

/// One request on a connection of its own; `None`: the service is gone.
fn ask(address: SocketAddr, request: &str, body: &str) -> Option<String> {
    let mut socket = TcpStream::connect(address).ok()?;
    let headers = "host: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
    write!(socket, "{request} HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut reply = String::new();
    socket.read_to_string(&mut reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

/// Teaches until the service is gone; pushes `(writer, seq, text)` of what was acknowledged.
fn teach(address: SocketAddr, name: &str, acknowledged: &Mutex<Vec<(usize, u64, String)>>) {
    for n in 0.. {
        let (writer, text) = (n % WRITERS.len(), format!("message {name}-{n}"));
        let body = serde_json::json!({"writer": WRITERS[writer], "text": text}).to_string();
        let Some(reply) = ask(address, "POST /v1/learn", &body) else { return };
        let Ok(reply) = serde_json::from_str::<Value>(&reply) else { return };
        acknowledged.lock().unwrap().push((writer, reply["seq"].as_u64().unwrap(), text));
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = Mutex::new(Vec::new());
    for round in 0..ROUNDS {
        let (mut child, address) = start(folder.path());
        let before = acknowledged.lock().unwrap().len();
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let acknowledged = &acknowledged;
                scope.spawn(move || teach(address, &format!("{round}-{client}"), acknowledged));
            }
            let until = Instant::now() + Duration::from_secs(20);
            while acknowledged.lock().unwrap().len() < before + 20 && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
            // A different point of the commit each time.
            thread::sleep(Duration::from_micros(round * 700));
            child.kill().unwrap();
            child.wait().unwrap();
        });
    }

    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() as u64 >= ROUNDS * 20, "only {} were acknowledged", acknowledged.len());
    let (mut child, address) = start(folder.path());
    for (n, writer) in WRITERS.iter().enumerate() {
        let stored = export(address, writer);
        let seqs: Vec<u64> = stored.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no gap");
        for (_, seq, text) in acknowledged.iter().filter(|(writer, ..)| *writer == n) {
            let at = usize::try_from(*seq).unwrap() - 1;
            assert_eq!(stored.get(at).map(|(_, text)| text), Some(text), "{writer} {seq}");
        }
        let about = ask(address, &format!("GET /v1/writers/{writer}"), "").unwrap();
        let about: Value = serde_json::from_str(&about).unwrap();
        assert_eq!(about["messages"], seqs.len(), "memory is folded from all of them");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Whether a file in the folder has the word.
fn in_files(folder: &Path, word: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let mut files = files.filter(|bytes| bytes.windows(word.len()).any(|window| window == word.as_bytes()));
    files.next().is_some()
}

/// Killed at another point each time while it forgets: after an acknowledged one the word is gone, before it all or none of the
/// messages have it.
#[test]
fn what_is_acknowledged_as_forgotten_is_gone() {
    const WORD: &str = "Zebrafish";
    const MESSAGES: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut before, mut after) = (0, 0, 0);
    for round in 0..ROUNDS {
        let (mut child, address) = start(folder.path());
        let already = before + after;
        assert_eq!(already, round);
        for n in 0..MESSAGES {
            let text = format!("Dear {WORD} of round {round}, number {n}");
            let body = serde_json::json!({"writer": "anna", "text": text}).to_string();
            ask(address, "POST /v1/learn", &body).expect("it is learned");
        }
        let forget = thread::spawn(move || {
            let body = serde_json::json!({ "word": WORD }).to_string();
            ask(address, "POST /v1/writers/anna/forget", &body)
        });
        // The last rounds let it come to its end.
        let wait =
            if round + 2 < ROUNDS { Duration::from_micros(round * 1_500) } else { Duration::from_secs(30) };
        let until = Instant::now() + wait;
        while Instant::now() < until && !forget.is_finished() {
            thread::sleep(Duration::from_micros(100));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let answer = forget.join().unwrap();
        if answer.is_some() {
            acknowledged += 1;
            assert!(!in_files(folder.path(), WORD), "round {round}: a byte is left");
        }
        let (mut child, address) = start(folder.path());
        let stored = export(address, "anna");
        assert_eq!(stored.len(), MESSAGES * usize::try_from(round + 1).unwrap(), "no message is lost");
        let new = stored.iter().rev().take(MESSAGES).filter(|(_, text)| text.contains(WORD)).count();
        assert!(new == 0 || new == MESSAGES, "round {round}: {new} of {MESSAGES} have the word");
        assert!(new == 0 || answer.is_none(), "round {round}: it was said to be gone");
        if new == 0 {
            after += 1;
        } else {
            before += 1;
        }
        // What was left half done is done by asking again.
        let body = serde_json::json!({ "word": WORD }).to_string();
        ask(address, "POST /v1/writers/anna/forget", &body).expect("it is forgotten");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!in_files(folder.path(), WORD), "round {round}");
    }
    assert!(acknowledged >= 2 && before >= 1, "{acknowledged} acknowledged, {before} before, {after} after");
}

fn export(address: SocketAddr, writer: &str) -> Vec<(u64, String)> {
    let body = ask(address, &format!("GET /v1/writers/{writer}/export"), "").unwrap();
    // The body is chunked; the lines that are JSON are the export's.
    let lines = body.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(Value::is_object)
        .map(|line| (line["seq"].as_u64().unwrap(), line["text"].as_str().unwrap().to_owned()))
        .collect()
}
