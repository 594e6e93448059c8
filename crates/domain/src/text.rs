//! Constrained text: names and slugs.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
    /// Where a slug names a thing its identifier may stand, too, so that it is no UUID; and it is neither `.` nor `..`, which
    /// lead elsewhere in a URL.
    ///
    /// ```
    /// use linkspan_domain::Slug;
    /// assert!("google-drive".parse::<Slug>().is_ok());
    /// assert!("Google Drive".parse::<Slug>().is_err());
    /// assert!("..".parse::<Slug>().is_err());
    /// ```
    Slug,
    |text| is_slug(text) && !matches!(text, "." | "..") && Uuid::parse_str(text).is_err(),
    "1 to 100 lower-case letters, digits, dashes, underscores or dots, and neither `.` nor `..` nor a UUID";
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

impl Slug {
    /// One that was kept before some were refused that name nothing.
    pub fn stored(text: String) -> Result<Self, InvalidText> {
        if is_slug(&text) { Ok(Self(text)) } else { text.try_into() }
    }
}

fn is_slug(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-_.".contains(&it);
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_that_would_name_nothing_is_refused_and_read_where_it_is_kept() {
        for odd in
            [".", "..", "0190a000-0000-7000-8000-000000000001", "0190a000000070008000000000000001"]
        {
            let refused = odd.parse::<Slug>().unwrap_err().to_string();
            assert!(refused.contains("nor a UUID"), "{refused}");
            assert_eq!(Slug::stored(odd.to_owned()).unwrap().as_str(), odd);
        }
        assert!(Slug::stored("A B".to_owned()).is_err());
        for fine in ["...", "0190a000", "a.b"] {
            assert!(fine.parse::<Slug>().is_ok(), "{fine}");
        }
    }
}
