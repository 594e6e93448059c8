//! The text of a file, as it is uncompressed.

use std::io::{self, Cursor};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use linkspan_sdk::Failure;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

/// The text of a file, a piece at a time. Uncompresses gzip and zstd, however the file is called, and
/// skips the mark that some programs put before UTF-8.
pub(crate) struct Text<'f> {
    input: Box<dyn AsyncRead + Send + Unpin + 'f>,
    piece: Vec<u8>,
    length: usize,
    total: u64,
    limit: u64,
    what: String,
}

/// How many bytes are looked at together.
const PIECE: usize = 128 * 1024;

/// The first bytes of every gzip file (RFC 1952, 2.3.1) and of every zstd frame (RFC 8878, 3.1.1).
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The byte order marks of UTF-8 and UTF-16.
const UTF_8: [u8; 3] = [0xef, 0xbb, 0xbf];
const UTF_16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

impl<'f> Text<'f> {
    /// The text that arrives from `input`, at most `limit` bytes of it. Messages call it `what`.
    ///
    /// A [`Failure`] inside an error of `input` comes out as it is.
    pub(crate) async fn open(
        mut input: impl AsyncRead + Send + Unpin + 'f,
        what: String,
        limit: u64,
    ) -> Result<Self, Failure> {
        let mut magic = Vec::with_capacity(ZSTD.len());
        while magic.len() < ZSTD.len() {
            let mut rest = (&mut input).take((ZSTD.len() - magic.len()) as u64);
            match rest.read_buf(&mut magic).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(unreadable(&what, error)),
            }
        }
        let packing = Packing::of(&magic);
        let input = BufReader::with_capacity(PIECE, Cursor::new(magic).chain(input));
        let input: Box<dyn AsyncRead + Send + Unpin + 'f> = match packing {
            Packing::None => Box::new(input),
            Packing::Gzip => {
                let mut decoder = GzipDecoder::new(input);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Packing::Zstd => {
                let mut decoder = ZstdDecoder::new(input);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
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
    pub(crate) fn piece(&self) -> &[u8] {
        &self.piece[..self.length]
    }

    /// Goes on to the next piece.
    pub(crate) async fn next(&mut self) -> Result<(), Failure> {
        self.length = 0;
        while self.length < PIECE {
            match self.input.read(&mut self.piece[self.length..]).await {
                Ok(0) => break,
                Ok(read) => self.length += read,
                Err(error) if is_broken(&error) => {
                    return Err(self.malformed(None, "it is compressed, and broken or cut off"));
                }
                Err(error) => return Err(unreadable(&self.what, error)),
            }
        }
        self.total += self.length as u64;
        if self.total > self.limit {
            return Err(Failure::TooLarge { what: self.what.clone(), limit: self.limit });
        }
        Ok(())
    }

    /// That the text cannot be read at `line`, for `reason`.
    pub(crate) fn malformed(&self, line: Option<u64>, reason: impl Into<String>) -> Failure {
        Failure::Malformed { what: self.what.clone(), line, reason: reason.into() }
    }
}

/// How the text is compressed.
#[derive(Clone, Copy)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    fn of(magic: &[u8]) -> Self {
        if magic.starts_with(GZIP) {
            Self::Gzip
        } else if magic.starts_with(ZSTD) {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

/// That `what` cannot be read, for `error`.
fn unreadable(what: &str, error: io::Error) -> Failure {
    error.downcast().unwrap_or_else(|error| Failure::unavailable(what, error))
}

/// Whether the error is the decompressor's and not that of what it reads.
fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    let failure = error.get_ref().and_then(|it| it.downcast_ref::<Failure>());
    failure.is_none() && matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}
