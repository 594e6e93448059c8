//! Records as stores take them: key, JSON and hash, many in one piece of memory.

use std::fmt;

use sha2::{Digest, Sha256};

/// Records on their way into a store, packed: however many there are, they take four allocations.
#[derive(Clone, Default)]
pub struct Rows {
    keys: String,
    key_ends: Vec<usize>,
    payloads: String,
    payload_ends: Vec<usize>,
    hashes: Vec<ContentHash>,
}

/// One of [`Rows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// What names it within its stream.
    pub key: &'a str,
    /// What it says: a JSON object.
    pub payload: &'a str,
    /// The hash of what it says.
    pub hash: ContentHash,
}

/// What tells one content from another: the first 128 bits of the SHA-256 of a payload's JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash([u8; Self::LENGTH]);

impl ContentHash {
    /// How many bytes it has.
    pub const LENGTH: usize = 16;

    /// The hash of `payload`.
    pub fn of(payload: &str) -> Self {
        let mut short = [0; Self::LENGTH];
        short.copy_from_slice(&Sha256::digest(payload)[..Self::LENGTH]);
        Self(short)
    }

    /// Takes a hash back from storage.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes, for storage.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl Rows {
    /// Adds a row behind the others.
    pub fn push(&mut self, key: &str, payload: &str, hash: ContentHash) {
        self.keys.push_str(key);
        self.key_ends.push(self.keys.len());
        self.payloads.push_str(payload);
        self.payload_ends.push(self.payloads.len());
        self.hashes.push(hash);
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The size of keys and payloads, in bytes.
    pub const fn bytes(&self) -> usize {
        self.keys.len() + self.payloads.len()
    }

    /// The size of the payloads, in bytes.
    pub const fn payload_bytes(&self) -> usize {
        self.payloads.len()
    }

    /// The row at `index`, counted from 0.
    ///
    /// # Panics
    ///
    /// When there are not so many, as slices do.
    pub fn row(&self, index: usize) -> Row<'_> {
        let start = |ends: &[usize]| if index == 0 { 0 } else { ends[index - 1] };
        Row {
            key: &self.keys[start(&self.key_ends)..self.key_ends[index]],
            payload: &self.payloads[start(&self.payload_ends)..self.payload_ends[index]],
            hash: self.hashes[index],
        }
    }

    /// All rows, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// Forgets the rows and keeps the memory, to be filled again.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.key_ends.clear();
        self.payloads.clear();
        self.payload_ends.clear();
        self.hashes.clear();
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({} rows, {} bytes)", self.len(), self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{ContentHash, Rows};

    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut rows = Rows::default();
        let all = [("a", "{}"), ("", "{\"x\":1}"), ("ß", "")];
        for (key, payload) in all {
            rows.push(key, payload, ContentHash::of(payload));
        }
        let back: Vec<_> = rows.iter().map(|it| (it.key, it.payload)).collect();
        assert_eq!(back, all);
        assert!(rows.iter().all(|it| it.hash == ContentHash::of(it.payload)));
        assert_eq!((rows.len(), rows.bytes(), rows.payload_bytes()), (3, 12, 9));
        rows.clear();
        assert!(rows.is_empty());
        rows.push("b", "1", ContentHash::of("1"));
        assert_eq!(rows.row(0).key, "b");
    }

    #[test]
    fn the_hash_is_the_head_of_sha_256() {
        assert_eq!(ContentHash::of("abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
    }
}
