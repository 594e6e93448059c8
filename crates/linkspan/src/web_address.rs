//! Addresses of pages, as an operator sets them.

use serde::Deserialize;
use url::Url;

/// Where the outside reaches something: `http` or `https`, a host, and maybe a port and a path.
///
/// It is shown and sent around, so nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WebAddress(Url);

/// Several of them, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WebAddresses(Vec<WebAddress>);

/// A text that is no address. Never repeats the text: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Self::SAYS)]
pub(crate) struct InvalidAddress;

impl InvalidAddress {
    /// What an address has to be.
    pub(crate) const SAYS: &'static str =
        "an address is http or https with a host, and has no user, password, query or fragment";
}

impl WebAddress {
    /// The address itself.
    pub(crate) const fn as_url(&self) -> &Url {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let url = Url::parse(text.trim()).map_err(|_| InvalidAddress)?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        is_plain.then_some(Self(url)).ok_or(InvalidAddress)
    }
}

impl WebAddresses {
    /// The addresses themselves.
    pub(crate) fn urls(&self) -> Vec<Url> {
        self.0.iter().map(|it| it.as_url().clone()).collect()
    }
}

impl TryFrom<String> for WebAddress {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for WebAddresses {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        let named = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        named.map(WebAddress::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_page_without_anything_secret() {
        for good in ["http://127.0.0.1:8787", "https://linkspan.test/base/", " https://a.test "] {
            assert!(WebAddress::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "linkspan.test",
            "ftp://linkspan.test",
            "mailto:a@linkspan.test",
            "https://",
            "https://user@linkspan.test",
            "https://user:hunter2@linkspan.test",
            "https://:hunter2@linkspan.test",
            "https://linkspan.test/?a=b",
            "https://linkspan.test/#a",
        ] {
            assert_eq!(WebAddress::parse(bad), Err(InvalidAddress), "{bad}");
        }
    }

    #[test]
    fn one_bad_address_spoils_the_list() {
        let list = |text: &str| WebAddresses::try_from(text.to_owned());
        assert_eq!(list(" , ").unwrap().urls().len(), 0);
        assert_eq!(list("https://a.test/x, http://b.test").unwrap().urls().len(), 2);
        assert_eq!(list("https://a.test,ftp://b.test"), Err(InvalidAddress));
    }
}
