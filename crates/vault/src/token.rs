//! Random tokens, for API keys.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use linkspan_domain::{Secret, ports::VaultError};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// A token that nobody can guess: `prefix`, then 32 random bytes in URL-safe base64 (43 characters).
///
/// ```
/// let key = linkspan_vault::random_token("lsk_")?;
/// assert!(key.expose().starts_with("lsk_"));
/// assert_eq!(key.expose().len(), 4 + 43);
/// # Ok::<(), linkspan_domain::ports::VaultError>(())
/// ```
pub fn random_token(prefix: &str) -> Result<Secret<String>, VaultError> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(bytes.as_mut()).map_err(|_| VaultError::NoRandomness)?;
    // Room for all of it, so that growing leaves no copies behind.
    let mut token = String::with_capacity(prefix.len() + 44);
    token.push_str(prefix);
    BASE64_URL_SAFE_NO_PAD.encode_string(bytes.as_ref(), &mut token);
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::random_token;

    #[test]
    fn every_token_is_another_and_fits_in_a_url() {
        let tokens: HashSet<_> =
            (0..200).map(|_| random_token("lsk_").unwrap().expose().clone()).collect();
        assert_eq!(tokens.len(), 200);
        let fits = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
        assert!(tokens.iter().all(|it| it.len() == 47 && it.bytes().all(fits)));
    }
}
