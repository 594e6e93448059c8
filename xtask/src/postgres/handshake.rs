//! Whether a PostgreSQL server lets `postgres` in without a password.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(3);

/// Protocol 3.0.
const VERSION: u32 = 196_608;

/// Connects as `postgres` and reports whether the server is ready for a query.
pub(crate) fn lets_in(server: SocketAddr) -> bool {
    connect(server).unwrap_or(false)
}

fn connect(server: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&startup())?;
    let let_in = is_let_in(&mut stream)?;
    // Terminate: the server then logs no broken connection.
    stream.write_all(b"X\0\0\0\x04")?;
    Ok(let_in)
}

fn startup() -> Vec<u8> {
    let mut body = VERSION.to_be_bytes().to_vec();
    body.extend(b"user\0postgres\0database\0postgres\0\0");
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [length.to_be_bytes().to_vec(), body].concat()
}

/// Reads messages until the server is ready, asks for a password or refuses.
fn is_let_in(stream: &mut impl Read) -> io::Result<bool> {
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = Vec::new();
        stream.take(u64::from(length.saturating_sub(4))).read_to_end(&mut body)?;
        match head[0] {
            b'Z' => return Ok(true),
            b'R' if body.starts_with(&[0, 0, 0, 0]) => {}
            b'S' | b'K' | b'N' => {}
            _ => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_lets_in() {
        let wire =
            b"R\0\0\0\x08\0\0\0\0S\0\0\0\x08a\0b\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I";
        assert!(is_let_in(&mut &wire[..]).unwrap());
    }

    #[test]
    fn a_password_or_a_refusal_does_not() {
        assert!(!is_let_in(&mut &b"R\0\0\0\x08\0\0\0\x0a"[..]).unwrap());
        assert!(!is_let_in(&mut &b"E\0\0\0\x06no"[..]).unwrap());
        assert!(is_let_in(&mut &b"R\0\0"[..]).is_err());
    }
}
