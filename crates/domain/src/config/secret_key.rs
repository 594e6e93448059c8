//! The rule that tells which keys look like secrets.

/// What makes a key a secret wherever it occurs in it, once case and separators are gone.
const PARTS: [&str; 18] = [
    "accesskey",
    "accountkey",
    "apikey",
    "authorization",
    "connectionstring",
    "credential",
    "encryptionkey",
    "masterkey",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "sharedaccess",
    "sharedkey",
    "signingkey",
    "subscriptionkey",
    "token",
];

/// What makes a key a secret if it is one of its words. They are too short to look for inside words.
const WORDS: [&str; 6] = ["bearer", "cookie", "dsn", "jwt", "pass", "pwd"];

/// Whether a setting called `key` looks as if it held a secret.
///
/// This is the net below schemas, not a substitute for them: a setting the schema names is exactly as
/// secret as the schema says. A key that the schema does not name and that looks secret is refused,
/// so that nothing a person took for a password is ever stored in the clear.
///
/// The rule looks at the name only, whatever its case and separators (`api_key`, `apiKey`,
/// `X-API-Key`). It would rather refuse too much (`token_url`) than too little, with one exception:
/// amounts of tokens, as language models count them (`max_tokens`).
///
/// ```
/// use linkspan_domain::looks_secret;
///
/// assert!(looks_secret("clientSecret"));
/// assert!(looks_secret("AWS_ACCESS_KEY_ID"));
/// assert!(!looks_secret("primary_key"));
/// assert!(!looks_secret("max_tokens"));
/// ```
pub fn looks_secret(key: &str) -> bool {
    let words = words(key);
    let whole = words.concat();
    let counts_tokens = whole.ends_with("tokens")
        && words.first().is_some_and(|it| matches!(it.as_str(), "max" | "min" | "num"));
    !counts_tokens
        && (PARTS.iter().any(|it| whole.contains(it))
            || words.iter().any(|it| WORDS.contains(&it.as_str())))
}

/// The words of a key in lower case: `dbPass`, `DB_PASS` and `DBPass` are all `db`, `pass`.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = None;
    let mut rest = key.chars().peekable();
    while let Some(it) = rest.next() {
        let after_lower = before.is_some_and(|before: char| !before.is_uppercase());
        let starts_word = it.is_uppercase()
            && (after_lower || rest.peek().is_some_and(|next| next.is_lowercase()));
        if starts_word || !it.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| it.is_alphanumeric()) {
            word.extend(it.to_lowercase());
        }
        before = Some(it);
    }
    words.retain(|it| !it.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::{looks_secret, words};

    #[test]
    fn names_of_secrets_look_secret_in_any_spelling() {
        for key in [
            "password",
            "Password",
            "db_password",
            "dbPassword",
            "passwd",
            "PASS",
            "dbPass",
            "DBPass",
            "pwd",
            "secret",
            "client_secret",
            "clientSecrets",
            "token",
            "tokens",
            "refreshToken",
            "X-Auth-Token",
            "api_key",
            "apikey",
            "apiKey",
            "APIKey",
            "X-API-Key",
            "private_key",
            "privateKeyPem",
            "credential",
            "credentials",
            "authorization",
            "Proxy-Authorization",
            "access_key",
            "AWS_ACCESS_KEY_ID",
            "secretAccessKey",
            "connection_string",
            "ConnectionString",
            "sentry_dsn",
            "session cookie",
            "Ocp-Apim-Subscription-Key",
            "passphrase",
            "signing.key",
        ] {
            assert!(looks_secret(key), "{key}");
        }
    }

    #[test]
    fn other_names_do_not() {
        for key in [
            "",
            "host",
            "port",
            "primary_key",
            "key_column",
            "partitionKey",
            "key",
            "bypass",
            "compass",
            "passthrough",
            "author",
            "auth_method",
            "max_tokens",
            "maxOutputTokens",
            "min_tokens",
            "bucket",
            "sslmode",
            "schlüssel",
        ] {
            assert!(!looks_secret(key), "{key}");
        }
    }

    #[test]
    fn words_end_where_people_see_them_end() {
        assert_eq!(words("dbPassX-APIKey_2"), ["db", "pass", "x", "api", "key", "2"]);
        assert_eq!(words("--"), Vec::<String>::new());
    }
}
