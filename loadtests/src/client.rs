//! One keep-alive HTTP/1.1 connection to the service, as an editor holds it.

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Where the service listens, and what it is shown to let one in.
#[derive(Clone, Debug)]
pub struct Address {
    authority: String,
    key: Option<HeaderValue>,
}

impl Address {
    /// Parses `http://host:port`.
    ///
    /// # Errors
    /// When `url` is not such an address.
    pub fn parse(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "{url}: give an address like http://127.0.0.1:8080");
        let host = uri.host().with_context(|| format!("{url} names no host"))?;
        Ok(Self { authority: format!("{host}:{}", uri.port_u16().unwrap_or(80)), key: None })
    }

    /// The same with an API key.
    ///
    /// # Errors
    /// When `key` holds what no key does.
    pub fn with_key(mut self, key: &str) -> Result<Self> {
        let mut header = HeaderValue::from_str(&format!("Bearer {key}")).context("this is no API key")?;
        header.set_sensitive(true);
        self.key = Some(header);
        Ok(self)
    }

    /// The header that shows the key, if there is one.
    pub(crate) fn key(&self) -> Option<(HeaderName, HeaderValue)> {
        Some((AUTHORIZATION, self.key.clone()?))
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The port, if it is one of this machine.
    pub fn local_port(&self) -> Option<u16> {
        let (host, port) = self.authority.rsplit_once(':')?;
        ["localhost", "127.0.0.1", "[::1]"].contains(&host).then(|| port.parse().ok())?
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.authority).await?;
        // A keystroke is one small packet: it must not wait for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A connection that is opened when it is first needed and again after it broke.
#[derive(Debug)]
pub struct Connection {
    address: Address,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection to `address`, not open yet.
    pub fn new(address: Address) -> Self {
        Self { address, sender: None }
    }

    /// Posts a body of JSON and reads the whole answer.
    ///
    /// # Errors
    /// When the service cannot be reached or the connection breaks; the next call opens a new one.
    pub async fn post(&mut self, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes)> {
        let result = self.send(path, body).await;
        if result.is_err() {
            self.sender = None;
        }
        result
    }

    async fn send(&mut self, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, &self.address.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        request.headers_mut().extend(self.address.key());
        let response = self.sender().await?.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        // Not `Option::insert` in a match: the borrow of an open sender would last through the other arm.
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            self.sender = Some(self.open().await?);
        }
        let sender = self.sender.as_mut().context("a sender was just put there")?;
        sender.ready().await?;
        Ok(sender)
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>> {
        let (sender, connection) = handshake(TokioIo::new(self.address.connect().await?)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
