//! Master keys, and what is derived from them.

use std::fmt;

use base64::{
    Engine,
    alphabet::{Alphabet, STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use linkspan_domain::ports::{KeyId, Purpose};
use ring::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    error::Unspecified,
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use strum::IntoEnumIterator;
use zeroize::Zeroizing;

/// A key of 32 bytes that nothing is sealed with directly: every purpose has a key derived from it.
///
/// It is wiped from memory when dropped, and `Debug` shows its identifier only.
pub struct MasterKey {
    bytes: Zeroizing<[u8; Self::LEN]>,
    id: KeyId,
    /// Derived once: deriving takes longer than sealing.
    derived: Vec<(Purpose, LessSafeKey)>,
}

/// Why a text is not a master key. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// There is no text.
    #[error("the key is empty; make one with `openssl rand -hex 32`")]
    Empty,
    /// The text is in neither of the two forms.
    #[error("the key is neither hex nor base64; make one with `openssl rand -hex 32`")]
    Form,
    /// The key is not 32 bytes long.
    #[error(
        "a key is 32 bytes long, given as 64 hex digits or in base64; make one with `openssl rand -hex 32`"
    )]
    Length,
}

impl MasterKey {
    /// How many bytes a key has.
    pub const LEN: usize = 32;

    /// Takes the bytes of a key.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self::new(Zeroizing::new(bytes))
    }

    /// Reads 64 hex digits, or base64 of either alphabet, padded or not. White space around it does not count.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidKey::Empty);
        }
        if text.bytes().all(|it| it.is_ascii_hexdigit()) && text.len() != BASE64_LEN {
            return from_hex(text).map(Self::new).ok_or(InvalidKey::Length);
        }
        from_base64(text).map(Self::new)
    }

    /// A new key at random.
    pub(crate) fn random() -> Result<Self, Unspecified> {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        SystemRandom::new().fill(bytes.as_mut())?;
        Ok(Self::new(bytes))
    }

    /// The key as 64 hex digits, as [`parse`](Self::parse) reads them.
    pub(crate) fn to_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * Self::LEN));
        for byte in self.bytes.iter() {
            text.extend([byte >> 4, byte & 15].map(|it| char::from(HEX[usize::from(it)])));
        }
        text
    }

    /// Tells the key from others.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key that seals for `purpose`. There is one, unless deriving it failed.
    pub(crate) fn seal_key(&self, purpose: Purpose) -> Option<&LessSafeKey> {
        self.derived.iter().find(|(it, _)| *it == purpose).map(|(_, key)| key)
    }

    /// Whether `other` is the same key. Both are the operator's own, so timing tells nobody anything.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }

    fn new(bytes: Zeroizing<[u8; Self::LEN]>) -> Self {
        let id = id_of(bytes.as_ref());
        // Deriving fails only for keys of more than 8160 bytes (RFC 5869).
        let derived = Purpose::iter().filter_map(|it| Some((it, derive(&bytes, it).ok()?)));
        let derived = derived.collect();
        Self { bytes, id, derived }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// The first bytes of an HMAC-SHA256 under the master key.
fn id_of(master: &[u8]) -> KeyId {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, master), b"linkspan/v1/key-id");
    let mut id = [0; KeyId::LEN];
    id.iter_mut().zip(tag.as_ref()).for_each(|(it, byte)| *it = *byte);
    KeyId::from_bytes(id)
}

fn derive(master: &[u8; MasterKey::LEN], purpose: Purpose) -> Result<LessSafeKey, Unspecified> {
    let mut derived = Zeroizing::new([0; MasterKey::LEN]);
    // HKDF-SHA256 (RFC 5869) without salt: the master key is uniformly random already.
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(master)
        .expand(&[b"linkspan/v1/", purpose.as_ref().as_bytes()], Derived)?
        .fill(derived.as_mut())?;
    UnboundKey::new(&AES_256_GCM, derived.as_ref()).map(LessSafeKey::new)
}

const HEX: [u8; 16] = *b"0123456789abcdef";

/// How long 32 bytes are in base64, without padding.
const BASE64_LEN: usize = 43;

/// The length of a derived key, for HKDF.
struct Derived;

impl hkdf::KeyType for Derived {
    fn len(&self) -> usize {
        MasterKey::LEN
    }
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; MasterKey::LEN]>> {
    if text.len() != 2 * MasterKey::LEN {
        return None;
    }
    let mut bytes = Zeroizing::new([0; MasterKey::LEN]);
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        for digit in pair {
            let value = char::from(*digit).to_digit(16)?;
            *byte = (*byte << 4) | u8::try_from(value).ok()?;
        }
    }
    Some(bytes)
}

fn from_base64(text: &str) -> Result<Zeroizing<[u8; MasterKey::LEN]>, InvalidKey> {
    let alphabet: &Alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(alphabet, lenient);
    // The decoder wants room for whole groups of three bytes.
    let mut room = Zeroizing::new([0; MasterKey::LEN + 4]);
    if text.len() > BASE64_LEN + 1 {
        return Err(if is_base64(text) { InvalidKey::Length } else { InvalidKey::Form });
    }
    let len = engine.decode_slice(text, room.as_mut()).map_err(|_| InvalidKey::Form)?;
    let mut bytes = Zeroizing::new([0; MasterKey::LEN]);
    if len != bytes.len() {
        return Err(InvalidKey::Length);
    }
    bytes.copy_from_slice(&room[..MasterKey::LEN]);
    Ok(bytes)
}

fn is_base64(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_alphanumeric() || b"+/-_=".contains(&it))
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::{InvalidKey, MasterKey};

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn bytes() -> [u8; 32] {
        std::array::from_fn(|it| u8::try_from(it).unwrap())
    }

    #[test]
    fn a_key_is_read_in_every_usual_form() {
        for text in [
            KEY,
            &KEY.to_uppercase(),
            &format!("  {KEY}\n"),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        ] {
            assert_eq!(*MasterKey::parse(text).unwrap().bytes, bytes(), "{text}");
        }
        let safe = MasterKey::parse("-_-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let standard = MasterKey::parse("+/+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        assert!(safe.is(&standard));
    }

    #[test]
    fn what_is_no_key_is_refused_for_a_reason() {
        for (text, reason) in [
            ("", InvalidKey::Empty),
            (" \n", InvalidKey::Empty),
            (&KEY[1..], InvalidKey::Length),
            (&format!("{KEY}00"), InvalidKey::Length),
            ("AAEC", InvalidKey::Length),
            ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gAAAA", InvalidKey::Length),
            ("not a key", InvalidKey::Form),
            ("a passphrase that is rather long, but still not a key", InvalidKey::Form),
            (&"•".repeat(32), InvalidKey::Form),
        ] {
            assert_eq!(MasterKey::parse(text).unwrap_err(), reason, "{text}");
        }
    }

    #[test]
    fn the_id_of_a_key_never_changes() {
        assert_eq!(MasterKey::parse(KEY).unwrap().id().to_string(), "c408c43d");
    }

    #[test]
    fn debug_shows_the_id_only() {
        let key = MasterKey::from_bytes([7; 32]);
        assert_eq!(format!("{key:?}"), format!("MasterKey({})", key.id()));
    }

    #[test]
    fn every_random_key_is_another() {
        assert!(!MasterKey::random().unwrap().is(&MasterKey::random().unwrap()));
    }

    proptest! {
        #[test]
        fn hex_reads_back(bytes: [u8; 32]) {
            let key = MasterKey::from_bytes(bytes);
            let again = MasterKey::parse(&key.to_hex()).unwrap();
            prop_assert!(again.is(&key));
            prop_assert_eq!(again.id(), key.id());
        }

        #[test]
        fn no_refusal_repeats_the_input(text in "[a-zA-Z0-9+/]{12,40}") {
            if let Err(error) = MasterKey::parse(&text) {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains(&text));
            }
        }
    }
}
