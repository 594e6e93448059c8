//! A token endpoint that hands out a new refresh token each time, and revokes a grant whose spent token comes back.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use linkspan_domain::{AuthorizationServer, Issuer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use url::{Url, form_urlencoded};

/// How long its access tokens are: as those that carry claims.
const ACCESS_TOKEN: usize = 1_000;

/// How many seconds they live.
const LIFE: u32 = 3_600;

/// The server, on a thread with a runtime of its own.
pub(crate) struct Provider {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

/// What the server knows.
#[derive(Clone)]
pub(crate) struct Book {
    /// Of each grant how often it was refreshed: the number of the refresh token that was not spent yet.
    pub(crate) refreshed: Vec<u64>,
    /// Grants that were not refreshed yet.
    pub(crate) waiting: usize,
    /// Tokens that came though they were spent. Each took its grant with it.
    pub(crate) spent_twice: u64,
    /// When the first and the last token was handed out.
    pub(crate) answered: Option<(Instant, Instant)>,
    revoked: Vec<bool>,
}

impl Provider {
    /// Starts one that gave `grants` grants.
    pub(crate) fn start(grants: usize) -> Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let book = Arc::new(Mutex::new(Book {
            refreshed: vec![0; grants],
            waiting: grants,
            spent_twice: 0,
            answered: None,
            revoked: vec![false; grants],
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let its = Arc::clone(&book);
        thread::spawn(move || runtime.block_on(listen(listener, its)));
        Ok(Self { address, book })
    }

    /// What it knows by now.
    pub(crate) fn book(&self) -> Book {
        lock(&self.book).clone()
    }

    /// How many grants were not refreshed yet.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.book).waiting
    }

    /// The server as its clients know it.
    pub(crate) fn as_known(&self) -> Result<AuthorizationServer> {
        let token_endpoint: Url = format!("http://{}/token", self.address).parse()?;
        Ok(AuthorizationServer {
            issuer: Issuer::new(format!("http://{}", self.address)),
            names_itself: true,
            authorization_endpoint: None,
            token_endpoint,
            registration_endpoint: None,
            revocation_endpoint: None,
            authentications: Vec::new(),
            scopes: None,
            challenge_methods: None,
            sends_issuer: false,
            reads_client_documents: false,
        })
    }
}

/// The refresh token of a grant that was refreshed so often.
pub(crate) fn refresh_token(grant: usize, refreshed: u64) -> String {
    format!("refresh-{grant}-{refreshed}")
}

/// An access token of that grant.
pub(crate) fn access_token(grant: usize, refreshed: u64) -> String {
    format!("{:x<ACCESS_TOKEN$}", format!("access-{grant}-{refreshed}-"))
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: StdListener, book: Arc<Mutex<Book>>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        let book = Arc::clone(&book);
        // Clients go away as they like.
        tokio::spawn(async move { serve(socket, &book).await.ok() });
    }
}

/// Answers one request after the other, until the client goes away.
async fn serve(mut socket: TcpStream, book: &Mutex<Book>) -> Result<()> {
    socket.set_nodelay(true)?;
    let (read, mut write) = socket.split();
    let mut read = BufReader::new(read);
    while let Some(body) = request(&mut read).await? {
        let (status, said) = lock(book).answer(&body)?;
        let said = said.to_string();
        let length = said.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{said}"
        );
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// The body of the next request. None: there is no other.
async fn request(read: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>> {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if read.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    read.read_exact(&mut body).await?;
    Ok(Some(body))
}

impl Book {
    /// What a request for a token is answered.
    fn answer(&mut self, body: &[u8]) -> Result<(&'static str, Value)> {
        let mut fields = form_urlencoded::parse(body);
        let token = fields.find(|(name, _)| name == "refresh_token");
        let (_, token) = token.context("a request has no refresh token")?;
        let mut parts = token.split('-').skip(1);
        let (Some(grant), Some(number)) = (parts.next(), parts.next()) else {
            bail!("a refresh token is none of ours");
        };
        let (grant, number): (usize, u64) = (grant.parse()?, number.parse()?);
        let refreshed = self.refreshed.get(grant).copied().context("there is no such grant")?;
        if self.revoked[grant] || number != refreshed {
            self.spent_twice += u64::from(!self.revoked[grant]);
            self.revoked[grant] = true;
            return Ok(("400 Bad Request", json!({ "error": "invalid_grant" })));
        }
        self.waiting -= usize::from(refreshed == 0);
        self.refreshed[grant] += 1;
        let now = Instant::now();
        self.answered = Some((self.answered.map_or(now, |it| it.0), now));
        let granted = json!({
            "access_token": access_token(grant, number + 1),
            "refresh_token": refresh_token(grant, number + 1),
            "token_type": "Bearer",
            "expires_in": LIFE,
        });
        Ok(("200 OK", granted))
    }
}
