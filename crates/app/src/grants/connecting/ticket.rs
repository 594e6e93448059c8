//! How people who come by the connect page are held to the browser that they opened it in (RFC 6749 §10.12, RFC 9700 §4.7).
//!
//! What an authorization is kept under is the end of a chain, in which each word is the hash of the one before:
//!
//! > state → ticket → proof → what it is kept under
//!
//! Whoever asks the API gets the state in a link to the provider, and the ticket in a link to the connect page. The page knows
//! no state. It sends people with the proof, and with a bond of that to a cookie of theirs. So nobody who came by the page comes
//! back without the cookie, and nothing has to be kept about who opened it.

use linkspan_domain::{KeyHash, Secret};

/// What opens the connect page of one authorization.
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

    /// That of the authorization with this state.
    pub(super) fn of(state: &Secret<String>) -> Self {
        Self(hashed(state))
    }

    /// For the link to the page.
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

    fn proof(&self) -> Secret<String> {
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
pub(super) fn kept_under(state: &Secret<String>, browser: Option<&Browser>) -> Option<KeyHash> {
    let Some((proof, bond)) = state.expose().split_once('.') else {
        return Some(Ticket::of(state).kept_under());
    };
    let proof = Secret::new(proof.to_owned());
    let is_bound = browser.is_some_and(|it| it.bond(&proof).as_str() == bond);
    is_bound.then(|| KeyHash::of(&proof))
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

    /// What is kept under `state` of a browser without our cookie.
    fn alone(state: &str) -> Option<KeyHash> {
        kept_under(&secret(state), None)
    }

    #[test]
    fn both_ways_lead_to_the_same_authorization() {
        let ticket = Ticket::of(&secret("state"));
        let browser = Browser::new(secret("browser"));
        let sent = secret(&ticket.state_for(&browser));
        assert_eq!(alone("state"), Some(ticket.kept_under()));
        assert_eq!(kept_under(&sent, Some(&browser)), Some(ticket.kept_under()));
    }

    #[test]
    fn nothing_that_the_page_shows_leads_there_without_its_cookie() {
        let ticket = Ticket::of(&secret("state"));
        let (browser, other) = (Browser::new(secret("browser")), Browser::new(secret("other")));
        let sent = ticket.state_for(&browser);
        let (proof, bond) = sent.split_once('.').unwrap();
        assert_eq!(alone(&sent), None);
        assert_eq!(kept_under(&secret(&sent), Some(&other)), None);
        let there = Some(ticket.kept_under());
        for shown in [proof, bond, ticket.expose(), &format!("{bond}{proof}")] {
            assert_ne!(alone(shown), there, "{shown}");
            assert_ne!(kept_under(&secret(shown), Some(&browser)), there, "{shown}");
            assert_ne!(kept_under(&secret(&format!("{shown}.{bond}")), Some(&other)), there);
        }
        let elsewhere = Ticket::of(&secret("another state")).proof();
        let moved = secret(&format!("{}.{bond}", elsewhere.expose()));
        assert_eq!(kept_under(&moved, Some(&browser)), None, "a bond holds for one authorization");
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
