//! Sealing under a keyring, with AES-256-GCM.

use linkspan_domain::{
    Secret,
    ports::{KeyId, SealContext, Sealed, Vault, VaultError},
};
use ring::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce},
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use crate::Keyring;

/// Seals under the current key of a [`Keyring`], and opens under any of them.
///
/// A blob is, in this order: the version (1 byte, 1), the identifier of the master key (4 bytes), a
/// random nonce (12 bytes), the ciphertext and its tag (16 bytes). It is bound to its version, its
/// key, its purpose and its row by the associated data, so that it opens nowhere else.
///
/// Nonces are random: one key serves for 2^32 blobs of one purpose (NIST SP 800-38D, 8.3).
#[derive(Debug)]
pub struct KeyringVault {
    keyring: Keyring,
    random: SystemRandom,
}

impl KeyringVault {
    /// A vault over `keyring`.
    pub fn new(keyring: Keyring) -> Self {
        Self { keyring, random: SystemRandom::new() }
    }

    /// The keys in use.
    pub const fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}

impl Vault for KeyringVault {
    fn seal(&self, context: SealContext, plain: &[u8]) -> Result<Sealed, VaultError> {
        let master = self.keyring.current();
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| VaultError::NoRandomness)?;
        let mut blob = Vec::with_capacity(BODY_AT + plain.len() + AES_256_GCM.tag_len());
        blob.extend_from_slice(&Sealed::header(master.id()));
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(plain);
        // Sealing fails only for secrets of more than 64 GiB.
        let key = master.seal_key(context.purpose).ok_or(VaultError::Refused)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(associated_data(master.id(), context));
        let tag = key
            .seal_in_place_separate_tag(nonce, aad, &mut blob[BODY_AT..])
            .map_err(|_| VaultError::Refused)?;
        blob.extend_from_slice(tag.as_ref());
        Ok(Sealed::from_bytes(blob))
    }

    fn open(&self, context: SealContext, sealed: &Sealed) -> Result<Secret<Vec<u8>>, VaultError> {
        let Envelope { key_id, nonce, body } = Envelope::parse(sealed)?;
        let master = self.keyring.find(key_id).ok_or(VaultError::UnknownKey { key_id })?;
        let key = master.seal_key(context.purpose).ok_or(VaultError::Refused)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(associated_data(key_id, context));
        let mut plain = Zeroizing::new(body.to_vec());
        let len = key.open_in_place(nonce, aad, &mut plain).map_err(|_| VaultError::Refused)?.len();
        plain.truncate(len);
        Ok(Secret::new(std::mem::take(&mut *plain)))
    }

    fn current(&self) -> KeyId {
        self.keyring.current_id()
    }

    fn previous(&self) -> Vec<KeyId> {
        self.keyring.previous_ids().collect()
    }
}

/// Where the ciphertext starts.
const BODY_AT: usize = Sealed::HEADER_LEN + NONCE_LEN;

/// A blob in its parts.
struct Envelope<'a> {
    key_id: KeyId,
    nonce: [u8; NONCE_LEN],
    /// Ciphertext and tag.
    body: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(sealed: &'a Sealed) -> Result<Self, VaultError> {
        let key_id = sealed.key_id()?;
        let rest = sealed.as_bytes().get(Sealed::HEADER_LEN..).unwrap_or_default();
        let parts = rest.split_first_chunk();
        let parts = parts.filter(|(_, body)| body.len() >= AES_256_GCM.tag_len());
        let (nonce, body) = parts.ok_or(VaultError::Malformed)?;
        Ok(Self { key_id, nonce: *nonce, body })
    }
}

/// Header, purpose and row. Only the purpose varies in length, so no two contexts give the same bytes.
fn associated_data(key_id: KeyId, context: SealContext) -> Vec<u8> {
    [&Sealed::header(key_id)[..], context.purpose.as_ref().as_bytes(), context.row.as_bytes()]
        .concat()
}

#[cfg(test)]
mod tests {
    use linkspan_domain::ports::{Purpose, SealContext, Sealed, Vault, VaultError};
    use proptest::{
        collection::vec,
        prelude::{Just, Strategy, any, prop_oneof},
        prop_assert, prop_assert_eq, prop_assert_ne, prop_assume, proptest,
        sample::Index,
    };
    use uuid::Uuid;

    use super::{BODY_AT, KeyringVault};
    use crate::{Keyring, MasterKey};

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    fn vault(current: u8, previous: &[u8]) -> KeyringVault {
        KeyringVault::new(Keyring::new(key(current), previous.iter().map(|it| key(*it))).unwrap())
    }

    fn context() -> SealContext {
        SealContext { purpose: Purpose::Credentials, row: Uuid::from_u128(1) }
    }

    fn contexts() -> impl Strategy<Value = SealContext> {
        let purpose = prop_oneof![
            Just(Purpose::Credentials),
            Just(Purpose::Authorization),
            Just(Purpose::ClientRegistration)
        ];
        (purpose, any::<u128>())
            .prop_map(|(purpose, row)| SealContext { purpose, row: Uuid::from_u128(row) })
    }

    #[test]
    fn a_blob_made_elsewhere_by_the_same_rules_opens() {
        // Made with Python's hmac and cryptography: the format, not just the round trip, is pinned.
        const BLOB: &str = "01c408c43d404142434445464748494a4bf7b2d5acc4e976cdd1b74a307265e29872b2fc225388070828790fc863c0b73e15b3bb8ea814d0bb";
        let bytes = BLOB.as_bytes().chunks(2).map(|it| str::from_utf8(it).unwrap());
        let bytes = bytes.map(|it| u8::from_str_radix(it, 16).unwrap()).collect();
        let master = MasterKey::from_bytes(std::array::from_fn(|it| u8::try_from(it).unwrap()));
        let vault = KeyringVault::new(Keyring::new(master, []).unwrap());
        let row = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
        let context = SealContext { purpose: Purpose::Credentials, row };
        let plain = vault.open(context, &Sealed::from_bytes(bytes)).unwrap();
        assert_eq!(plain.expose(), br#"{"/password":"hunter22"}"#);
    }

    #[test]
    fn two_rows_cannot_swap_their_blobs() {
        let vault = vault(1, &[]);
        let (a, b) = (context(), SealContext { row: Uuid::from_u128(2), ..context() });
        let (of_a, of_b) = (vault.seal(a, b"a").unwrap(), vault.seal(b, b"b").unwrap());
        assert_eq!(vault.open(a, &of_b), Err(VaultError::Refused));
        assert_eq!(vault.open(b, &of_a), Err(VaultError::Refused));
    }

    #[test]
    fn an_old_key_still_opens_until_it_is_gone() {
        let sealed = vault(1, &[]).seal(context(), b"sk_live").unwrap();
        let rotated = vault(2, &[1]);
        assert_eq!(rotated.open(context(), &sealed).unwrap().expose(), b"sk_live");
        assert_eq!((sealed.key_id(), rotated.previous()), (Ok(key(1).id()), vec![key(1).id()]));

        let resealed = rotated.seal(context(), b"sk_live").unwrap();
        assert_eq!(resealed.key_id(), Ok(rotated.current()));
        let later = vault(2, &[]);
        assert_eq!(later.open(context(), &resealed).unwrap().expose(), b"sk_live");
        let unknown = VaultError::UnknownKey { key_id: key(1).id() };
        assert_eq!(later.open(context(), &sealed), Err(unknown));
    }

    #[test]
    fn a_blob_of_another_version_is_malformed() {
        let vault = vault(1, &[]);
        let mut bytes = vault.seal(context(), b"x").unwrap().as_bytes().to_vec();
        bytes[0] = 2;
        let sealed = Sealed::from_bytes(bytes);
        assert_eq!(vault.open(context(), &sealed), Err(VaultError::Malformed));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_as_it_was(context in contexts(), plain in vec(any::<u8>(), 0..600)) {
            let vault = vault(1, &[]);
            let sealed = vault.seal(context, &plain).unwrap();
            let opened = vault.open(context, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &plain);
            prop_assert_ne!(&vault.seal(context, &plain).unwrap(), &sealed);
            if plain.len() > 8 {
                prop_assert!(!sealed.as_bytes().windows(plain.len()).any(|it| it == plain));
            }
        }

        #[test]
        fn another_row_or_purpose_opens_nothing(here in contexts(), there in contexts()) {
            prop_assume!(here != there);
            let vault = vault(1, &[]);
            let sealed = vault.seal(here, b"sk_live").unwrap();
            prop_assert_eq!(vault.open(there, &sealed), Err(VaultError::Refused));
            let same_row = SealContext { purpose: there.purpose, ..here };
            if same_row != here {
                prop_assert_eq!(vault.open(same_row, &sealed), Err(VaultError::Refused));
            }
        }

        #[test]
        fn an_altered_blob_never_opens(plain in vec(any::<u8>(), 0..40), at: Index, bit in 0..8_u8) {
            let vault = vault(1, &[]);
            let mut bytes = vault.seal(context(), &plain).unwrap().as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let error = vault.open(context(), &Sealed::from_bytes(bytes)).unwrap_err();
            match at {
                0 => prop_assert_eq!(error, VaultError::Malformed),
                1..Sealed::HEADER_LEN => {
                    let is_unknown = matches!(error, VaultError::UnknownKey { .. });
                    prop_assert!(is_unknown);
                }
                _ => prop_assert_eq!(error, VaultError::Refused),
            }
        }

        #[test]
        fn a_blob_said_to_be_of_another_key_never_opens(plain in vec(any::<u8>(), 0..40)) {
            let vault = vault(1, &[2]);
            let mut bytes = vault.seal(context(), &plain).unwrap().as_bytes().to_vec();
            bytes[1..Sealed::HEADER_LEN].copy_from_slice(key(2).id().as_bytes());
            prop_assert_eq!(vault.open(context(), &Sealed::from_bytes(bytes)), Err(VaultError::Refused));
        }

        #[test]
        fn a_truncated_or_extended_blob_never_opens(plain in vec(any::<u8>(), 0..40), len: Index) {
            let vault = vault(1, &[]);
            let mut bytes = vault.seal(context(), &plain).unwrap().as_bytes().to_vec();
            let cut = bytes[..len.index(bytes.len())].to_vec();
            let expected = if cut.len() < BODY_AT + 16 { VaultError::Malformed } else { VaultError::Refused };
            prop_assert_eq!(vault.open(context(), &Sealed::from_bytes(cut)), Err(expected));
            bytes.push(0);
            prop_assert_eq!(vault.open(context(), &Sealed::from_bytes(bytes)), Err(VaultError::Refused));
        }

        #[test]
        fn bytes_at_random_are_refused(bytes in vec(any::<u8>(), 0..100)) {
            prop_assert!(vault(1, &[]).open(context(), &Sealed::from_bytes(bytes)).is_err());
        }
    }
}
