//! A minimal HTTP/1.1 client for servers on this machine.

use std::{
    io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is kept alive between requests.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// How the body of an answer ends.
enum Length {
    Bytes(u64),
    Chunked,
}

impl Connection {
    /// Connects to `address`.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream) })
    }

    /// Sends a request that [`get`] made, reads the whole answer and returns its status.
    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.get_mut().write_all(request)?;
        read_answer(&mut self.stream, &mut io::sink())
    }

    /// Sends a request and returns the status of the answer and its body.
    pub(crate) fn fetch(&mut self, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        self.stream.get_mut().write_all(request)?;
        let mut body = Vec::new();
        let status = read_answer(&mut self.stream, &mut body)?;
        Ok((status, body))
    }
}

/// The bytes of a GET request for `path` that asks to keep the connection.
pub(crate) fn get(address: SocketAddr, path: &str, key: Option<&str>) -> Vec<u8> {
    let authorization =
        key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: */*\r\n{authorization}\r\n")
        .into_bytes()
}

/// The bytes of a POST request of a JSON document.
pub(crate) fn post(address: SocketAddr, path: &str, key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\
        authorization: Bearer {key}\r\ncontent-type: application/json\r\n\
        content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An address on this machine that nobody listens on.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Reads an answer, writes its body to `body` and returns its status.
fn read_answer(stream: &mut impl BufRead, body: &mut impl Write) -> io::Result<u16> {
    let status = read_line(stream)?;
    let status =
        status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
    match read_length(stream)? {
        Length::Bytes(length) => pass(stream, length, body)?,
        Length::Chunked => loop {
            let size = read_line(stream)?;
            let size = size.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).map_err(|_| malformed())?;
            pass(stream, size, body)?;
            read_line(stream)?;
            if size == 0 {
                break;
            }
        },
    }
    Ok(status)
}

/// Reads the header fields and keeps what says how long the body is.
fn read_length(stream: &mut impl BufRead) -> io::Result<Length> {
    let mut length = Length::Bytes(0);
    loop {
        let field = read_line(stream)?;
        let Some((name, value)) = field.split_once(':') else { return Ok(length) };
        if name.eq_ignore_ascii_case("content-length") {
            length = Length::Bytes(value.trim().parse().map_err(|_| malformed())?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
        }
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

fn pass(stream: &mut impl BufRead, length: u64, to: &mut impl Write) -> io::Result<()> {
    let passed = io::copy(&mut stream.take(length), to)?;
    if passed == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn malformed() -> Error {
    Error::new(ErrorKind::InvalidData, "the server did not answer in HTTP/1.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(mut wire: &[u8]) -> Vec<u16> {
        std::iter::from_fn(|| read_answer(&mut wire, &mut io::sink()).ok()).collect()
    }

    #[test]
    fn answers_follow_each_other_whatever_their_framing() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 404 Not Found\r\n\
            transfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(statuses(wire), [200, 404, 204]);
    }

    #[test]
    fn a_body_is_read_without_its_framing() {
        let wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let mut body = Vec::new();
        assert_eq!(read_answer(&mut &wire[..], &mut body).unwrap(), 200);
        assert_eq!(body, b"abcde");
    }

    #[test]
    fn a_cut_answer_is_no_answer() {
        assert!(statuses(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").is_empty());
        assert!(statuses(b"SSH-2.0-OpenSSH_9.2\r\n").is_empty());
    }
}
