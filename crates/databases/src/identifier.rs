//! Names of tables and columns that come from outside.

use linkspan_sdk::Failure;

/// A name that is safe to look up and to quote.
///
/// Names never reach SQL as they came: tables are looked up by a bound parameter, and what is put into a
/// statement is quoted. This guard is the second lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identifier(String);

/// No make of database takes more than 64 characters; a schema and a table with a dot between them have twice that.
const LENGTH: usize = 129;

impl Identifier {
    /// Lets through what a database may reasonably call things: letters and digits of any script, blanks,
    /// and `_ - . $ # @ &`. `field` says where the name came from.
    pub(crate) fn guard(field: &str, name: &str) -> Result<Self, Failure> {
        let fits = |it: char| it.is_alphanumeric() || " _-.$#@&".contains(it);
        Self::of(field, name, name.chars().all(fits))
    }

    /// Lets through plain names only, with at most one schema: `people`, `crm.people`.
    pub(crate) fn strict(field: &str, name: &str) -> Result<Self, Failure> {
        let plain = |part: &str| {
            part.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
                && part.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
        };
        let parts: Vec<_> = name.split('.').collect();
        Self::of(field, name, parts.len() <= 2 && parts.into_iter().all(plain))
    }

    fn of(field: &str, name: &str, fits: bool) -> Result<Self, Failure> {
        if fits && !name.is_empty() && name.chars().count() <= LENGTH {
            Ok(Self(name.to_owned()))
        } else {
            Err(Failure::setting(field, "is not a name that a table or a column can have"))
        }
    }

    /// The name with its schema.
    pub(crate) fn within(self, schema: &str) -> Self {
        Self(format!("{schema}.{}", self.0))
    }

    /// The name as it came.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Identifier;

    #[test]
    fn hostile_names_are_refused() {
        for name in [
            "people; drop table people",
            "people\"; --",
            "people' or '1'='1",
            "people\\",
            "people/**/",
            "people\0",
            "people\n",
            "(select 1)",
            "",
            &"x".repeat(130),
        ] {
            assert!(Identifier::guard("table", name).is_err(), "{name:?}");
            assert!(Identifier::strict("table", name).is_err(), "{name:?}");
        }
        for name in ["1people", "a.b.c", "crm.", ".people", "order lines"] {
            assert!(Identifier::strict("table", name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_databases_call_things_passes() {
        for name in ["people", "crm.people", "Order Lines", "straße", "a-b$c#d"] {
            assert!(Identifier::guard("stream", name).is_ok(), "{name:?}");
        }
        assert_eq!(
            Identifier::strict("table", "people").unwrap().within("public").as_str(),
            "public.people"
        );
    }

    #[test]
    fn a_refusal_does_not_repeat_the_name() {
        let refused = Identifier::strict("table", "x'; drop").unwrap_err();
        assert!(!refused.to_string().contains("drop"));
    }
}
