//! Which objects make a stream, and what it is called.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use linkspan_domain::StreamName;
use linkspan_sdk::Failure;

use crate::delimited::stream_name;

/// Which keys are meant.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// What all of them begin with.
    literal: String,
    /// What else holds of them.
    glob: Option<GlobMatcher>,
    name: StreamName,
}

/// The characters that mean something else than themselves.
pub(super) const SPECIAL: [char; 6] = ['*', '?', '[', ']', '{', '\\'];

impl Pattern {
    /// The keys that match `path`; the stream is called after its last fixed part, or else after `bucket`.
    pub(crate) fn of_path(path: &str, bucket: &str) -> Result<Self, Failure> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let glob = GlobBuilder::new(path).literal_separator(true).backslash_escape(true).build();
        let glob =
            glob.map_err(|_| Failure::setting("path", "is not a pattern that can be read"))?;
        let special = path.find(SPECIAL);
        let literal = &path[..special.unwrap_or(path.len())];
        let fixed = match special {
            None => literal,
            // What comes before a wildcard within one name is no name.
            Some(_) => literal.rfind('/').map_or("", |end| &literal[..=end]),
        };
        Ok(Self {
            literal: literal.to_owned(),
            glob: Some(glob.compile_matcher()),
            name: name(fixed, bucket)?,
        })
    }

    /// The keys that begin with `prefix`.
    pub(crate) fn of_prefix(prefix: &str, bucket: &str) -> Result<Self, Failure> {
        let prefix = prefix.strip_prefix('/').unwrap_or(prefix);
        Ok(Self { literal: prefix.to_owned(), glob: None, name: name(prefix, bucket)? })
    }

    /// What all keys begin with.
    pub(crate) fn literal(&self) -> &str {
        &self.literal
    }

    /// The name of the stream.
    pub(crate) const fn name(&self) -> &StreamName {
        &self.name
    }

    pub(crate) fn matches(&self, key: &str) -> bool {
        key.starts_with(&self.literal) && self.glob.as_ref().is_none_or(|it| it.is_match(key))
    }
}

/// Which keys, continuing "an object that".
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.glob {
            Some(glob) => write!(f, "matches `{}`", glob.glob()),
            None if self.literal.is_empty() => f.write_str("has something in it"),
            None => write!(f, "begins with `{}`", self.literal),
        }
    }
}

/// The last part of `fixed`, or `bucket` if there is none. Only the name of an object has endings to take off.
fn name(fixed: &str, bucket: &str) -> Result<StreamName, Failure> {
    match fixed.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => {
            bucket.parse().map_err(|_| Failure::setting("bucket", "cannot name a stream"))
        }
        Some(last) if fixed.ends_with('/') => {
            last.parse().map_err(|_| Failure::setting("path", "cannot name a stream"))
        }
        Some(last) => stream_name(last),
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_stream_is_called_after_the_last_fixed_part() {
        for (path, expect) in [
            ("exports/orders/*.csv", "orders"),
            ("exports/orders/2026-*.csv", "orders"),
            ("exports/v1.2/**", "v1.2"),
            ("/exports/orders.csv.gz", "orders"),
            ("**/*.csv", "lake"),
            ("*.csv", "lake"),
        ] {
            assert_eq!(Pattern::of_path(path, "lake").unwrap().name().as_str(), expect, "{path}");
        }
        for (prefix, expect) in [("", "lake"), ("exports/v1.2/", "v1.2"), ("exports/ord", "ord")] {
            let pattern = Pattern::of_prefix(prefix, "lake").unwrap();
            assert_eq!(pattern.name().as_str(), expect, "{prefix}");
        }
    }

    #[test]
    fn patterns_tell_folders_from_names() {
        for (path, key, expect) in [
            ("a/*.csv", "a/b.csv", true),
            ("a/*.csv", "a/b/c.csv", false),
            ("a/**/*.csv", "a/b/c/d.csv", true),
            ("a/**/*.csv", "a/d.csv", true),
            ("a/202[45]-0?.csv", "a/2024-01.csv", true),
            ("a/202[45]-0?.csv", "a/2026-01.csv", false),
            ("a/202[45]-0?.csv", "a/2024-0/.csv", false),
            ("a/50% off.csv", "a/50% off.csv", true),
            ("a/\\*.csv", "a/*.csv", true),
            ("a/\\*.csv", "a/b.csv", false),
            ("a", "a/b", false),
            ("**", "ü/..x", true),
        ] {
            let pattern = Pattern::of_path(path, "lake").unwrap();
            assert_eq!(pattern.matches(key), expect, "{path} {key}");
        }
        assert!(Pattern::of_path("a/[b", "lake").is_err());
        assert!(Pattern::of_prefix("a/b", "lake").unwrap().matches("a/bc/d"));
    }
}
