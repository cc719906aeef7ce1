//! Clients that vanish, dawdle, do not read or send garbage, over real sockets: each costs itself, and nobody else.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::ops::Deref;
use std::time::Duration;

use common::served::{Served, serve};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Nothing here takes so long, even on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// A service on its ports, and its permits while nobody asks.
struct Guarded {
    served: Served,
    permits: [usize; 2],
}

impl Deref for Guarded {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.served
    }
}

async fn guarded() -> Guarded {
    let served = serve().await;
    let permits = [served.app.admission.available_permits(), served.app.streams.available_permits()];
    Guarded { served, permits }
}

impl Guarded {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stream(&self) -> WebSocketStream<TcpStream> {
        let url = format!("ws://{}/v1/stream", self.address);
        client_async(url, self.connect().await).await.unwrap().0
    }

    /// What a client that behaves is answered, the status line and the body: told to come back, it does.
    async fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let patient = async {
            loop {
                let answered = self.ask_once(method, path, body).await;
                if !answered.0.starts_with("HTTP/1.1 503") {
                    return answered;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(SOON, patient).await.expect("to be let in")
    }

    async fn ask_once(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let mut socket = self.connect().await;
        let asked = async {
            socket.write_all(request(method, path, body.len(), body).as_bytes()).await.unwrap();
            let mut reply = String::new();
            socket.read_to_string(&mut reply).await.unwrap();
            reply
        };
        let reply = timeout(SOON, asked).await.expect("an answer");
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// A keystroke of a client that behaves is answered in full.
    async fn answers(&self) {
        let (status, body) =
            self.ask("POST", "/v1/complete", r#"{"text":"I can he","min_confidence":0}"#).await;
        assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert!(answer["suggestions"][0]["text"].as_str().unwrap().starts_with("lp"), "{body}");
    }

    /// Once those who vanished are noticed, nothing is held for them; then the service stops without waiting for anybody.
    async fn ends_as_it_began(self) {
        let held = async {
            while [self.app.admission.available_permits(), self.app.streams.available_permits()]
                != self.permits
                || !self.app.metrics_page().contains("\nforetype_streams_open 0\n")
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, held).await.expect("places are given back");
        self.answers().await;
        self.served.stop.send(()).unwrap();
        timeout(SOON, self.served.running).await.expect("it stops").unwrap().unwrap();
    }
}

/// A request whose body has `length` bytes, `body` the first of them.
fn request(method: &str, path: &str, length: usize, body: &str) -> String {
    let headers = "host: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
    format!("{method} {path} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_vanishes_mid_request_leaves_nothing_behind() {
    let served = guarded().await;
    let body = r#"{"text":"I can he","writer":"anna","session":"s"}"#;
    let whole = request("POST", "/v1/complete", body.len(), body);
    let lesson = r#"{"writer":"anna","text":"I can help you."}"#;
    let sent = request("POST", "/v1/learn", lesson.len(), lesson);
    for said in [&whole[..20], &whole[..whole.len() - 10], &whole[..], &sent[..]] {
        for _ in 0..100 {
            let mut socket = served.connect().await;
            socket.write_all(said.as_bytes()).await.unwrap();
        }
    }
    for _ in 0..50 {
        let mut socket = served.stream().await;
        for message in [
            json!({"type": "open", "writer": "anna"}),
            json!({"type": "edit", "seq": 1, "text": "I can he"}),
            json!({"type": "learn", "text": "I can help you."}),
        ] {
            socket.send(Message::text(message.to_string())).await.unwrap();
        }
    }
    served.ends_as_it_began().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_slowly_takes_nobodys_place() {
    let served = guarded().await;
    let body = r#"{"text":"I can he"}"#;
    let half = request("POST", "/v1/complete", body.len(), &body[..9]);
    let mut slow = Vec::new();
    // More than there are permits.
    for _ in 0..served.permits[0] + 50 {
        let mut socket = served.connect().await;
        socket.write_all(half.as_bytes()).await.unwrap();
        slow.push(socket);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    served.answers().await;
    // And they are answered when the rest comes.
    let mut last = slow.pop().unwrap();
    last.write_all(&body.as_bytes()[9..]).await.unwrap();
    let mut reply = String::new();
    timeout(SOON, last.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    drop(slow);
    served.ends_as_it_began().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_in_pieces_without_an_end_takes_few_places() {
    let served = guarded().await;
    let head = "POST /v1/complete HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..served.permits[0] + 50 {
        let mut socket = served.connect().await;
        socket.write_all(format!("{head}1\r\n{{\r\n").as_bytes()).await.unwrap();
        slow.push(socket);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    served.answers().await;
    assert!(served.app.admission.available_permits() > served.permits[0] / 2);
    drop(slow);
    served.ends_as_it_began().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_an_export_holds_up_nobody() {
    let served = guarded().await;
    let text = "The nightly batch was dropped again by the gateway. ".repeat(40);
    let mut lessons = tokio::task::JoinSet::new();
    for _ in 0..1_500 {
        let (app, text) = (served.app.clone(), text.clone());
        lessons.spawn(async move {
            let lesson = json!({"writer": "anna", "text": text});
            let request: foretype::wire::LearnRequest = serde_json::from_value(lesson).unwrap();
            app.learn(request.check().unwrap()).await
        });
        if lessons.len() == 128 {
            lessons.join_next().await.unwrap().unwrap().unwrap();
        }
    }
    while let Some(learned) = lessons.join_next().await {
        learned.unwrap().unwrap();
    }
    let mut deaf = Vec::new();
    for _ in 0..8 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut socket = socket.connect(served.address).await.unwrap();
        socket.write_all(request("GET", "/v1/writers/anna/export", 0, "").as_bytes()).await.unwrap();
        deaf.push(socket);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    served.answers().await;
    let learned = served.ask("POST", "/v1/learn", r#"{"writer":"anna","text":"One more."}"#).await;
    assert_eq!(learned, ("HTTP/1.1 200 OK".to_owned(), r#"{"seq":1501}"#.to_owned()));
    // Not even erasing what they were to read waits for them.
    let (status, _) = served.ask("DELETE", "/v1/writers/anna", "").await;
    assert_eq!(status, "HTTP/1.1 204 No Content");
    drop(deaf);
    served.ends_as_it_began().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_the_websocket_it_came_over_with_a_reason_and_no_other() {
    let served = guarded().await;
    let mut other = served.stream().await;
    other.send(Message::text(r#"{"type":"open","min_confidence":0}"#)).await.unwrap();
    let masked = |head: &[u8], payload: &[u8]| [head, &[0; 4], payload].concat();
    let mut told_off = Vec::new();
    // RFC 6455, 5.2: FIN, RSV and opcode; mask bit and length; the mask; the payload.
    for (what, code, bytes) in [
        ("an unmasked frame", 1002, b"\x81\x02hi".to_vec()),
        ("a reserved opcode", 1002, masked(b"\x83\x80", b"")),
        ("reserved bits", 1002, masked(b"\xf1\x82", b"hi")),
        ("a continuation of nothing", 1002, masked(b"\x80\x80", b"")),
        (
            "a message within a message",
            1002,
            [masked(b"\x01\x81", b"{"), masked(b"\x81\x82", b"{}")].concat(),
        ),
        ("a ping of 126 bytes", 1002, masked(b"\x89\xfe\x00\x7e", &[0; 126])),
        ("a cut control frame", 1002, masked(b"\x09\x80", b"")),
        ("text that is no UTF-8", 1007, masked(b"\x81\x82", b"\xc3\x28")),
        ("a frame of 9 exabytes", 1009, masked(b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", b"{")),
        (
            "a message without an end",
            1009,
            masked(b"\x01\xfe\x10\x00", &[b' '; 4_096])
                .into_iter()
                .chain((0..64).flat_map(|_| masked(b"\x00\xfe\x10\x00", &[b' '; 4_096])))
                .collect(),
        ),
    ] {
        let mut socket = served.stream().await;
        // It may be closed before all of it is sent.
        drop(socket.get_mut().write_all(&bytes).await);
        // A close frame: what it is, its length, the code.
        let mut told = [0; 4];
        let ended = timeout(SOON, socket.get_mut().read_exact(&mut told)).await;
        ended.unwrap_or_else(|_| panic!("{what} is put up with")).unwrap();
        assert_eq!((told[0], u16::from_be_bytes([told[2], told[3]])), (0x88, code), "{what}");
        told_off.push(socket);
    }
    for mut socket in told_off {
        drop(timeout(SOON, socket.get_mut().read_to_end(&mut Vec::new())).await.expect("it is over"));
    }
    for (reason, times) in [("protocol", 7), ("encoding", 1), ("too_large", 2)] {
        let sample = format!("foretype_stream_ends_total{{reason=\"{reason}\"}} {times}\n");
        assert!(served.app.metrics_page().contains(&sample), "{sample}");
    }
    // Whatever it means: 200 connections of noise.
    let mut state = 1_u64;
    for _ in 0..200 {
        let mut socket = served.stream().await;
        let noise: Vec<u8> = (0..300)
            .map(|_| {
                // xorshift64 (Marsaglia 2003).
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect();
        drop(socket.get_mut().write_all(&noise).await);
    }
    other.send(Message::text(r#"{"type":"edit","seq":1,"text":"I can he"}"#)).await.unwrap();
    let heard = async {
        let mut last = Value::Null;
        while last["type"] != "suggestions" {
            last = serde_json::from_str(other.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
        }
        last
    };
    let answer = timeout(SOON, heard).await.unwrap();
    assert!(answer["suggestions"][0]["text"].as_str().unwrap().starts_with("lp"), "{answer}");
    drop(other);
    served.ends_as_it_began().await;
}
