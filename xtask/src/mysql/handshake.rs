//! Whether a MariaDB or MySQL server lets `root` in without a password.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(3);

/// The protocol of 4.1, with a secure login by a named method.
const CAPABILITIES: u32 = 0x0200 | 0x8000 | 0x0008_0000;

/// Connects as `root` and reports whether the server is ready for a query.
pub(crate) fn lets_in(server: SocketAddr) -> bool {
    connect(server).unwrap_or(false)
}

fn connect(server: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let let_in = log_in(&mut stream)?;
    // Quit: the server then logs no broken connection.
    stream.write_all(&packet(0, &[1]))?;
    Ok(let_in)
}

fn log_in(stream: &mut (impl Read + Write)) -> io::Result<bool> {
    let (number, greeting) = receive(stream)?;
    // Another version of the protocol, or a refusal at the door.
    if greeting.first() != Some(&10) {
        return Ok(false);
    }
    stream.write_all(&packet(number.wrapping_add(1), &login()))?;
    loop {
        let (number, answer) = receive(stream)?;
        match answer.first() {
            Some(0x00) => return Ok(true),
            // Asks for another method: nothing is the answer of an account without a password.
            Some(0xFE) => stream.write_all(&packet(number.wrapping_add(1), &[]))?,
            _ => return Ok(false),
        }
    }
}

fn login() -> Vec<u8> {
    let mut body = CAPABILITIES.to_le_bytes().to_vec();
    body.extend((1_u32 << 24).to_le_bytes());
    // The character set, utf8, and what is reserved.
    body.push(33);
    body.extend([0; 23]);
    body.extend(b"root\0\0mysql_native_password\0");
    body
}

fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&length[..3], &[number], body].concat()
}

fn receive(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let [a, b, c, number] = head;
    let length = u32::from_le_bytes([a, b, c, 0]);
    let mut body = Vec::new();
    stream.take(length.into()).read_to_end(&mut body)?;
    Ok((number, body))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Says what it was told to, and forgets what it hears.
    struct Server(Cursor<Vec<u8>>);

    impl Read for Server {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Server {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(said: &[&[u8]]) -> io::Result<bool> {
        let wire = said.iter().flat_map(|it| packet(0, it)).collect();
        log_in(&mut Server(Cursor::new(wire)))
    }

    #[test]
    fn an_account_without_a_password_is_let_in() {
        assert!(check(&[b"\x0a11.4.2\0", b"\0\0\0\x02\0"]).unwrap());
        assert!(check(&[b"\x0a8.4.0\0", b"\xFEcaching_sha2_password\0", b"\0\0\0"]).unwrap());
    }

    #[test]
    fn a_refusal_is_not() {
        assert!(!check(&[b"\x0a11.4.2\0", b"\xFF\x15\x04#28000denied"]).unwrap());
        assert!(!check(&[b"\xFF\x69\x04host blocked"]).unwrap());
        assert!(check(&[b"\x0a11.4.2\0"]).is_err());
    }
}
