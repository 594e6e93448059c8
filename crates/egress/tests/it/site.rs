//! A scripted HTTP host on loopback, a scripted resolver, and the client between them.

use std::{
    collections::HashMap,
    error::Error,
    fmt::Write,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::Method;
use linkspan_domain::ports::{Outbound, OutboundError, OutboundRequest, OutboundResponse};
use linkspan_egress::{GuardedClient, Resolver};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use url::Url;

/// What a site does with a connection, after the first request was read.
#[derive(Clone)]
pub(crate) enum Script {
    /// Answers every request with what the function makes of it.
    Answer(Arc<dyn Fn(&str) -> String + Send + Sync>),
    /// Sends a head, then a block again and again until the client has enough.
    Endless { head: &'static str, block: Arc<[u8]>, pause: Duration },
    /// Sends these bytes and closes.
    Once(Vec<u8>),
}

/// A host on loopback.
pub(crate) struct Site {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Site {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            connections: Arc::default(),
            sent: Arc::default(),
        };
        let (requests, connections) = (Arc::clone(&site.requests), Arc::clone(&site.connections));
        let sent = Arc::clone(&site.sent);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (script, requests) = (script.clone(), Arc::clone(&requests));
                let sent = Arc::clone(&sent);
                // A client that hangs up is part of the play.
                tokio::spawn(async move { play(stream, script, &requests, &sent).await.ok() });
            }
        });
        site
    }

    pub(crate) async fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(Script::Answer(Arc::new(answer))).await
    }

    pub(crate) async fn once(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(Script::Once(bytes.into())).await
    }

    /// The URL of `path` on this site, under `host`.
    pub(crate) fn url(&self, host: &str, path: &str) -> Url {
        Url::parse(&format!("http://{host}:{}{path}", self.port)).unwrap()
    }

    /// Every request so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many bytes the clients took so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

async fn play(
    mut stream: TcpStream,
    script: Script,
    requests: &Mutex<Vec<String>>,
    sent: &AtomicU64,
) -> io::Result<()> {
    while let Some(request) = read_request(&mut stream).await? {
        requests.lock().unwrap().push(request.clone());
        match &script {
            Script::Answer(answer) => {
                let answer = answer(&request);
                stream.write_all(answer.as_bytes()).await?;
                if answer.contains("connection: close") {
                    return Ok(());
                }
            }
            Script::Once(bytes) => {
                stream.write_all(bytes).await?;
                return stream.shutdown().await;
            }
            Script::Endless { head, block, pause } => {
                stream.write_all(head.as_bytes()).await?;
                loop {
                    stream.write_all(block).await?;
                    sent.fetch_add(block.len() as u64, Ordering::SeqCst);
                    sleep(*pause).await;
                }
            }
        }
    }
    Ok(())
}

async fn read_request(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
            let chunked = head.contains("transfer-encoding: chunked");
            let complete = match length {
                Some(length) => body.len() >= length.parse().unwrap(),
                None => !chunked || body.ends_with("0\r\n\r\n"),
            };
            if complete {
                return Ok(Some(text.into_owned()));
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// An answer with an empty body, on a connection that stays open.
pub(crate) fn empty(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: 0\r\n\r\n")
}

/// An answer with `body`.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A resolver that knows what a test tells it, and writes down what it was asked.
///
/// A name with several answers gives one after the other, and repeats the last.
#[derive(Default)]
pub(crate) struct Names {
    answers: HashMap<&'static str, Vec<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn new(answers: &[(&'static str, &[&[&str]])]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|it| it.parse().unwrap()).collect();
        let answers = answers
            .iter()
            .map(|(name, answers)| (*name, answers.iter().map(parse).collect()))
            .collect();
        Arc::new(Self { answers, asked: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        let before = asked.iter().filter(|it| *it == host).count();
        asked.push(host.to_owned());
        match self.answers.get(host) {
            Some(answers) => Ok(answers[before.min(answers.len() - 1)].clone()),
            None => Err(io::Error::other("no such name")),
        }
    }
}

/// A client that may reach `allow`, with `a.test`, `b.test` and `c.test` on loopback.
pub(crate) fn client(allow: &str) -> GuardedClient {
    let loopback: &[&[&str]] = &[&["127.0.0.1"]];
    let names = [("a.test", loopback), ("b.test", loopback), ("c.test", loopback)];
    client_with(allow, Names::new(&names))
}

pub(crate) fn client_with(allow: &str, names: Arc<Names>) -> GuardedClient {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    GuardedClient::with_resolver(allow.parse().unwrap(), names).unwrap()
}

pub(crate) async fn get(
    client: &GuardedClient,
    url: Url,
) -> Result<OutboundResponse, OutboundError> {
    client.send(OutboundRequest::new(Method::GET, url)).await
}

/// The whole answer of a request that has to succeed.
pub(crate) async fn text(response: Result<OutboundResponse, OutboundError>) -> String {
    String::from_utf8(response.unwrap().bytes().await.unwrap().to_vec()).unwrap()
}

/// The error of an exchange that has to fail, in its head or in its body.
pub(crate) async fn failure(response: Result<OutboundResponse, OutboundError>) -> OutboundError {
    match response {
        Err(failure) => failure,
        Ok(response) => response.bytes().await.unwrap_err(),
    }
}

/// Whether `failure` says that the client did not even try.
pub(crate) fn is_refusal(failure: &OutboundError) -> bool {
    matches!(failure, OutboundError::Refused { .. } | OutboundError::InvalidUrl(_))
}

/// All that `failure` would write to a log: both forms of it and of each of its causes.
pub(crate) fn written(failure: &OutboundError) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn Error> = Some(failure);
    while let Some(cause) = next {
        write!(text, "{cause} {cause:?} ").unwrap();
        next = cause.source();
    }
    text
}

/// An address on loopback where nothing listens.
pub(crate) async fn silent() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
