//! Private keys that everybody knows, for clients in tests: PKCS#8 in PEM.

/// The RSA key of RFC 7515 §A.2.1.
pub const RSA: &str = include_str!("../keys/rfc7515-a2-rsa.pem");

/// The key on P-256 of RFC 7515 §A.3.1.
pub const P256: &str = include_str!("../keys/rfc7515-a3-p256.pem");

/// The key on P-256 of RFC 7517 §A.2.
pub const P256_OTHER: &str = include_str!("../keys/rfc7517-a2-p256.pem");
