//! The query string, read strictly: what is not known is refused.

use std::borrow::Cow;

use linkspan_domain::Code;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::problem::Failure;

/// What need not be escaped in a query value. Brackets are, so that links work everywhere.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',').remove(b':');

/// The parameters of a query string, decoded, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

/// The name of a parameter, taken apart: `filter[name][eq]` is the family `filter` with two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParameterName<'a> {
    /// What comes before the first bracket.
    pub(crate) family: &'a str,
    /// What stands in the first pair of brackets.
    pub(crate) key: Option<&'a str>,
    /// What stands in the second.
    pub(crate) operator: Option<&'a str>,
}

impl Query {
    /// Reads a query string. Names may come once.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, Failure> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in raw.unwrap_or_default().split('&').filter(|it| !it.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| {
                Failure::new(Code::InvalidParameter, "the name of a parameter is not UTF-8")
            })?;
            let refused = |detail| Failure::new(Code::InvalidParameter, detail);
            let Some(value) = decode(value) else {
                return Err(refused("the value is not UTF-8").in_parameter(name));
            };
            // No name and no value ever has one, and some databases cannot store it.
            if value.contains('\0') {
                return Err(refused("the value has a NUL in it").in_parameter(name));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(refused("the parameter is there more than once").in_parameter(name));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// Refuses all parameters: for operations that take none.
    pub(crate) fn deny_all(&self) -> Result<(), Failure> {
        self.0.first().map_or(Ok(()), |(name, _)| Err(unknown(name)))
    }

    /// Takes the parameter of this name out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.remove(at).1)
    }

    /// The parameters.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same parameters but for the position in the list, which becomes `position`.
    pub(crate) fn at(&self, position: Option<(&str, &str)>) -> String {
        let kept = self.iter().filter(|(name, _)| !matches!(*name, "page[after]" | "page[before]"));
        let mut query = String::new();
        for (name, value) in kept.chain(position) {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.extend(utf8_percent_encode(name, ESCAPED));
            query.push('=');
            query.extend(utf8_percent_encode(value, ESCAPED));
        }
        query
    }
}

impl<'a> ParameterName<'a> {
    /// Takes `name` apart. None if its brackets do not match.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let Some((family, rest)) = name.split_once('[') else {
            return (!name.contains(']')).then_some(Self {
                family: name,
                key: None,
                operator: None,
            });
        };
        let rest = rest.strip_suffix(']')?;
        let (key, operator) = match rest.split_once("][") {
            Some((key, operator)) => (key, Some(operator)),
            None => (rest, None),
        };
        let is_plain = |it: &str| !it.contains(['[', ']']);
        (is_plain(key) && operator.is_none_or(is_plain)).then_some(Self {
            family,
            key: Some(key),
            operator,
        })
    }
}

/// There is no such parameter here.
pub(crate) fn unknown(name: &str) -> Failure {
    Failure::new(Code::InvalidParameter, "there is no such parameter here").in_parameter(name)
}

/// A parameter with an impossible value.
pub(crate) fn invalid(name: &str, detail: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(Code::InvalidParameter, detail).in_parameter(name)
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|it| matches!(it, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let blanks = text.replace('+', " ");
    let decoded = percent_decode(blanks.as_bytes()).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Vec<(String, String)> {
        Query::parse(Some(raw)).unwrap().0
    }

    #[test]
    fn names_and_values_are_decoded() {
        let pairs = parse("filter%5Bname%5D=a+b%26c&&sort=-created_at&flag");
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, [("filter[name]", "a b&c"), ("sort", "-created_at"), ("flag", "")]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for raw in ["a=%ff", "%ff=a", "sort=a&sort=b", "a=%00"] {
            assert!(Query::parse(Some(raw)).is_err(), "{raw}");
        }
    }

    #[test]
    fn names_come_apart_at_their_brackets() {
        let name = |text| ParameterName::parse(text).map(|it| (it.family, it.key, it.operator));
        assert_eq!(name("sort"), Some(("sort", None, None)));
        assert_eq!(name("page[size]"), Some(("page", Some("size"), None)));
        assert_eq!(name("filter[a][in]"), Some(("filter", Some("a"), Some("in"))));
        for odd in ["page[size", "page]", "a[b][c][d]", "a[b]c", "a[[b]]"] {
            assert_eq!(name(odd), None, "{odd}");
        }
    }

    #[test]
    fn links_keep_everything_but_the_position() {
        let query = Query::parse(Some("filter[name]=a b&page[after]=x&page[size]=2")).unwrap();
        assert_eq!(
            query.at(Some(("page[after]", "y"))),
            "?filter%5Bname%5D=a%20b&page%5Bsize%5D=2&page%5Bafter%5D=y"
        );
        assert_eq!(query.at(None), "?filter%5Bname%5D=a%20b&page%5Bsize%5D=2");
        assert_eq!(Query::default().at(None), "");
    }
}
