//! A thousand people come at once: each is answered or told to come back, and who comes back is answered.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, reason = "the shared module is not a crate")]

#[path = "common/binary.rs"]
mod binary;

use std::time::Duration;

use binary::{Running, start};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Opens a draft and types, as often as it is told to come back; the connection and the whole answer.
async fn answered(address: &str, person: u64) -> (WebSocketStream<TcpStream>, Value) {
    let mut stream = loop {
        let socket = TcpStream::connect(address).await.unwrap();
        match client_async(format!("ws://{address}/v1/stream"), socket).await {
            Ok((stream, _)) => break stream,
            Err(Error::Http(reply)) => {
                assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
                assert_eq!(reply.headers()["retry-after"], "1");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    let edit = |seq| format!(r#"{{"type":"edit","seq":{seq},"text":"Thanks for calling, I can he"}}"#);
    let open = format!(r#"{{"type":"open","writer":"person-{person}","min_confidence":0,"budget_ms":1000}}"#);
    stream.send(Message::text(open)).await.unwrap();
    for seq in 1.. {
        stream.send(Message::text(edit(seq))).await.unwrap();
        loop {
            let message = stream.next().await.unwrap().unwrap();
            // Pings and `opened` are no answers.
            let Ok(said) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else {
                continue;
            };
            if said["final"] == true {
                return (stream, said);
            }
            if said["type"] == "error" {
                assert_eq!(said["code"], "busy");
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    unreachable!("it asks until it is answered")
}

#[test]
fn a_thousand_people_come_at_once() {
    const PEOPLE: u64 = 1_000;
    let data = tempfile::tempdir().unwrap();
    // A process of its own, so that each of the two needs no more than a thousand descriptors.
    let Running { mut child, address, _out } = start(data.path());
    let soon = Duration::from_secs(120);
    let came = async || {
        let mut streams = JoinSet::new();
        for person in 0..PEOPLE {
            let address = address.clone();
            streams.spawn(async move { answered(&address, person).await });
        }
        // All stay connected until the last is answered.
        let answered = tokio::time::timeout(soon, streams.join_all()).await.unwrap();
        let helped = answered.iter().filter(|(_, answer)| {
            answer["suggestions"][0]["text"].as_str().is_some_and(|text| text.starts_with("lp"))
        });
        assert_eq!(helped.count() as u64, PEOPLE);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(came());
    // And as many requests: what is too much is told to come back, and nothing else goes wrong.
    let asked = async {
        let mut requests = JoinSet::new();
        for _ in 0..PEOPLE {
            let address = address.clone();
            requests.spawn(async move {
                let mut socket = TcpStream::connect(&address).await.unwrap();
                let body = r#"{"text":"Thanks for calling, I can he"}"#;
                let head = "POST /v1/complete HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
                let kind = "content-type: application/json\r\n";
                let request = format!("{head}{kind}content-length: {}\r\n\r\n{body}", body.len());
                socket.write_all(request.as_bytes()).await.unwrap();
                let mut reply = String::new();
                socket.read_to_string(&mut reply).await.unwrap();
                reply
            });
        }
        tokio::time::timeout(soon, requests.join_all()).await.unwrap()
    };
    let replies = runtime.block_on(asked);
    let served = replies.iter().filter(|reply| reply.starts_with("HTTP/1.1 200")).count();
    let shed = replies.iter().filter(|reply| {
        reply.starts_with("HTTP/1.1 503") && reply.contains("retry-after: 1") && reply.contains("busy")
    });
    assert_eq!(served + shed.count(), replies.len());
    runtime.block_on(came());
    child.kill().unwrap();
    child.wait().unwrap();
}
