//! The cookie that tells the browser of a person who opened a link from all others.

use http::{HeaderMap, header};
use linkspan_app::{Addresses, Browser};

/// No other host can set a cookie of this name (RFC 6265bis §4.1.3.2).
const GUARDED: &str = "__Host-linkspan-browser";

/// Its name where there is no TLS, on one's own machine: the other is refused there.
const PLAIN: &str = "linkspan-browser";

/// How long it is kept, in seconds: longer than an authorization lasts, so that whoever comes too late is told that.
const LASTS: u32 = 3_600;

/// The browser that sends `headers`, if it has the cookie.
pub(super) fn read(headers: &HeaderMap, addresses: &Addresses) -> Option<Browser> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut pairs = lines.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == name_at(addresses))?;
    Browser::read(value)
}

/// What gives it to `browser`. It comes back when a provider sends the person here (`Lax`), and no script reads it.
pub(super) fn set(browser: &Browser, addresses: &Addresses) -> String {
    let name = name_at(addresses);
    let secure = if is_encrypted(addresses) { "; Secure" } else { "" };
    let value = browser.expose();
    format!("{name}={value}; Path=/; Max-Age={LASTS}; HttpOnly; SameSite=Lax{secure}")
}

fn name_at(addresses: &Addresses) -> &'static str {
    if is_encrypted(addresses) { GUARDED } else { PLAIN }
}

fn is_encrypted(addresses: &Addresses) -> bool {
    addresses.public.as_ref().is_some_and(|it| it.scheme() == "https")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn at(public: &str) -> Addresses {
        Addresses { public: Some(public.parse().unwrap()), ..Addresses::default() }
    }

    fn sent(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    #[test]
    fn a_browser_is_known_by_what_it_was_given() {
        let browser = Browser::read(&"b".repeat(43)).unwrap();
        for public in ["https://linkspan.example/base", "http://127.0.0.1:8787"] {
            let given = set(&browser, &at(public));
            let (pair, rest) = given.split_once("; ").unwrap();
            let read = read(&sent(&format!("a=b; {pair};c")), &at(public));
            assert_eq!(read.as_ref(), Some(&browser), "{public}");
            assert_eq!(rest.contains("Secure"), public.starts_with("https"), "{given}");
            assert!(rest.starts_with("Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"), "{given}");
        }
    }

    #[test]
    fn over_tls_only_the_name_counts_that_no_other_host_can_set() {
        let planted = format!("linkspan-browser={}", "b".repeat(43));
        assert_eq!(read(&sent(&planted), &at("https://linkspan.example")), None);
    }
}
