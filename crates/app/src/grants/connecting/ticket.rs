//! How people are held to the browser that they opened a link in (RFC 6749 §10.12, RFC 9700 §4.7).
//!
//! What an authorization is kept under is the end of a chain, in which each word is the hash of the one before:
//!
//! > ticket → proof → what it is kept under
//!
//! Whoever asks the API gets the ticket in links to us. We send people on with the proof, and with a bond of that to a cookie of
//! theirs. So nobody comes back without the cookie, and nothing has to be kept about who opened a link.

use linkspan_domain::{KeyHash, Secret};

use super::ReturnError;

/// What opens the links of one authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket(Secret<String>);

/// What tells one browser from all others: the value of a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser(Secret<String>);

impl Ticket {
    /// As somebody brings it.
    pub const fn new(text: Secret<String>) -> Self {
        Self(text)
    }

    /// For the links to us.
    pub(super) const fn expose(&self) -> &String {
        self.0.expose()
    }

    /// What the authorization is kept under.
    pub(super) fn kept_under(&self) -> KeyHash {
        KeyHash::of(&self.proof())
    }

    /// What `browser` is sent to the provider with.
    pub(super) fn state_for(&self, browser: &Browser) -> String {
        let proof = self.proof();
        format!("{}.{}", proof.expose(), browser.bond(&proof).as_str())
    }

    /// What shows the provider, and whoever comes back from it, that there was a ticket.
    pub(super) fn proof(&self) -> Secret<String> {
        hashed(&self.0)
    }
}

impl Browser {
    /// As a browser brings it. None: we did not give it that.
    pub fn read(text: &str) -> Option<Self> {
        let fits = |it: u8| it.is_ascii_alphanumeric() || b"-_".contains(&it);
        let is_ours = (32..=128).contains(&text.len()) && text.bytes().all(fits);
        is_ours.then(|| Self(Secret::new(text.to_owned())))
    }

    /// For the cookie.
    pub const fn expose(&self) -> &String {
        self.0.expose()
    }

    /// One that was never seen before.
    pub(super) const fn new(random: Secret<String>) -> Self {
        Self(random)
    }

    /// Of no use with any other proof, so that a provider who sees it learns nothing for another authorization.
    fn bond(&self, proof: &Secret<String>) -> KeyHash {
        KeyHash::of(&Secret::new(format!("{}.{}", self.expose(), proof.expose())))
    }
}

/// What the authorization is kept under that a person came back from, if they are in the browser that they left with.
pub(super) fn kept_under(
    state: &Secret<String>,
    browser: Option<&Browser>,
) -> Result<KeyHash, ReturnError> {
    let (proof, bond) = state.expose().split_once('.').ok_or(ReturnError::Unknown)?;
    let proof = Secret::new(proof.to_owned());
    let is_bound = browser.is_some_and(|it| it.bond(&proof).as_str() == bond);
    if is_bound { Ok(KeyHash::of(&proof)) } else { Err(ReturnError::OtherBrowser) }
}

fn hashed(word: &Secret<String>) -> Secret<String> {
    Secret::new(KeyHash::of(word).as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn ticket(text: &str) -> Ticket {
        Ticket::new(secret(text))
    }

    #[test]
    fn the_browser_that_left_with_a_ticket_comes_back_for_its_authorization() {
        let (ticket, browser) = (ticket("ticket"), Browser::new(secret("browser")));
        let sent = secret(&ticket.state_for(&browser));
        assert_eq!(kept_under(&sent, Some(&browser)).unwrap(), ticket.kept_under());
    }

    #[test]
    fn nothing_that_a_provider_sees_leads_there_without_the_cookie() {
        let ticket = ticket("ticket");
        let (browser, other) = (Browser::new(secret("browser")), Browser::new(secret("other")));
        let sent = ticket.state_for(&browser);
        for elsewhere in [None, Some(&other)] {
            let refused = kept_under(&secret(&sent), elsewhere);
            assert!(matches!(refused, Err(ReturnError::OtherBrowser)), "{refused:?}");
        }
        let (proof, bond) = sent.split_once('.').unwrap();
        for shown in [proof, bond, ticket.expose(), &format!("{bond}{proof}")] {
            let refused = kept_under(&secret(shown), Some(&browser));
            assert!(matches!(refused, Err(ReturnError::Unknown)), "{shown}: {refused:?}");
            kept_under(&secret(&format!("{shown}.{bond}")), Some(&other)).unwrap_err();
        }
        let elsewhere = Ticket::new(secret("another ticket")).proof();
        let moved = secret(&format!("{}.{bond}", elsewhere.expose()));
        kept_under(&moved, Some(&browser)).expect_err("a bond holds for one authorization");
    }

    #[test]
    fn a_cookie_that_we_did_not_set_is_none() {
        let ours = "a".repeat(43);
        assert_eq!(Browser::read(&ours).unwrap().expose(), &ours);
        for bad in [String::new(), "a".repeat(31), "a".repeat(129), format!("{ours}\"")] {
            assert_eq!(Browser::read(&bad), None, "{bad}");
        }
    }
}
