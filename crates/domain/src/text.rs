//! Constrained text: names and slugs.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! texts {
    ($($(#[$doc:meta])+ $name:ident, $rule:expr, $says:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                let rule: fn(&str) -> bool = $rule;
                if rule(&text) { Ok(Self(text)) } else { Err(InvalidText { must: $says }) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

/// Text that breaks the rule of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {must}")]
pub struct InvalidText {
    must: &'static str,
}

texts! {
    /// What people call a thing: 1 to 200 characters, no control characters, no blanks at the ends.
    ///
    /// ```
    /// use linkspan_domain::Name;
    /// assert!("Production Postgres".parse::<Name>().is_ok());
    /// assert!(" ".parse::<Name>().is_err());
    /// ```
    Name,
    |text| {
        let length = text.chars().count();
        (1..=200).contains(&length) && text.trim() == text && !text.chars().any(char::is_control)
    },
    "1 to 200 characters without control characters or blanks at the ends";
    /// Short text that is safe in a URL: lower-case letters, digits, `-`, `_` and `.`, 1 to 100 characters.
    ///
    /// ```
    /// use linkspan_domain::Slug;
    /// assert!("google-drive".parse::<Slug>().is_ok());
    /// assert!("Google Drive".parse::<Slug>().is_err());
    /// ```
    Slug,
    |text| {
        (1..=100).contains(&text.len())
            && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-_.".contains(&it))
    },
    "1 to 100 lower-case letters, digits, dashes, underscores or dots";
    /// The name of a service within its provider: letters, digits, `-`, `_` and `.`, 1 to 100 characters.
    ///
    /// Unlike a [`Slug`] it may have capitals, since some providers name services so.
    ServiceId,
    |text| {
        (1..=100).contains(&text.len())
            && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it))
    },
    "1 to 100 letters, digits, dashes, underscores or dots";
    /// A mail address, as far as it can be told without sending a mail.
    Email,
    |text| {
        text.len() <= 254
            && !text.chars().any(|it| it.is_whitespace() || it.is_control())
            && text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.') && !host.contains('@'))
    },
    "a mail address such as ada@example.com";
    /// The plain name of a file: no folders, not hidden, no control characters, 1 to 200 bytes.
    ///
    /// ```
    /// use linkspan_domain::FileName;
    /// assert!("people.csv".parse::<FileName>().is_ok());
    /// assert!("../people.csv".parse::<FileName>().is_err());
    /// assert!(".profile".parse::<FileName>().is_err());
    /// ```
    FileName,
    |text| {
        (1..=200).contains(&text.len())
            && !text.starts_with('.')
            && text.trim() == text
            && !text.chars().any(|it| it.is_control() || matches!(it, '/' | '\\'))
    },
    "the plain name of a file: 1 to 200 bytes, no slash or backslash, no dot at the front, no control characters, no blanks at the ends";
}
