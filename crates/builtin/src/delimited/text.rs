//! The text of a file, as it is uncompressed.

use std::io::{self, SeekFrom};

use async_compression::tokio::bufread::GzipDecoder;
use linkspan_sdk::Failure;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncSeekExt, BufReader},
};

/// The text of a file, a piece at a time. Uncompresses gzip, however the file is called, and skips the mark
/// that some programs put before UTF-8.
pub(super) struct Text<'f> {
    input: Box<dyn AsyncRead + Send + Unpin + 'f>,
    piece: Vec<u8>,
    length: usize,
    total: u64,
    limit: u64,
    what: &'f str,
}

/// How many bytes are looked at together.
const PIECE: usize = 128 * 1024;

/// The first bytes of every gzip file (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The byte order marks of UTF-8 and UTF-16.
const UTF_8: [u8; 3] = [0xef, 0xbb, 0xbf];
const UTF_16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

impl<'f> Text<'f> {
    /// The text of `file` from its beginning, at most `limit` bytes of it. Messages call it `what`.
    pub(super) async fn open(
        file: &'f mut File,
        what: &'f str,
        limit: u64,
    ) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| Failure::unavailable(what, error);
        let mut magic = [0; 2];
        file.rewind().await.map_err(unreadable)?;
        let mut found = 0;
        while found < magic.len() {
            match file.read(&mut magic[found..]).await.map_err(unreadable)? {
                0 => break,
                read => found += read,
            }
        }
        file.seek(SeekFrom::Start(0)).await.map_err(unreadable)?;
        let input: Box<dyn AsyncRead + Send + Unpin + 'f> = if magic == GZIP {
            let mut decoder = GzipDecoder::new(BufReader::with_capacity(PIECE, file));
            decoder.multiple_members(true);
            Box::new(decoder)
        } else {
            Box::new(file)
        };
        let mut this = Self { input, piece: vec![0; PIECE], length: 0, total: 0, limit, what };
        this.next().await?;
        if UTF_16.iter().any(|mark| this.piece().starts_with(mark)) {
            return Err(this.malformed(None, "it is not in UTF-8; save it as UTF-8"));
        }
        if this.piece().starts_with(&UTF_8) {
            this.piece.copy_within(UTF_8.len()..this.length, 0);
            this.length -= UTF_8.len();
        }
        Ok(this)
    }

    /// The piece at hand; empty at the end.
    pub(super) fn piece(&self) -> &[u8] {
        &self.piece[..self.length]
    }

    /// Goes on to the next piece.
    pub(super) async fn next(&mut self) -> Result<(), Failure> {
        self.length = 0;
        while self.length < PIECE {
            match self.input.read(&mut self.piece[self.length..]).await {
                Ok(0) => break,
                Ok(read) => self.length += read,
                Err(error) if is_broken(&error) => {
                    return Err(self.malformed(None, "it is compressed, and broken or cut off"));
                }
                Err(error) => return Err(Failure::unavailable(self.what, error)),
            }
        }
        self.total += self.length as u64;
        if self.total > self.limit {
            return Err(Failure::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    /// That the text cannot be read at `line`, for `reason`.
    pub(super) fn malformed(&self, line: Option<u64>, reason: impl Into<String>) -> Failure {
        Failure::Malformed { what: self.what.to_owned(), line, reason: reason.into() }
    }
}

/// Whether the error is the decompressor's and not the disk's.
fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}
