//! How people are held to the browser that they opened a link in (RFC 6749 §10.12, RFC 9700 §4.7).
//!
//! What an authorization is kept under is the end of a chain, in which each word is the hash of the one before:
//!
//! > ticket → proof → what it is kept under
//!
//! Whoever asks the API gets the ticket in links to us. We send people on with the proof, and with a bond of the ticket to a
//! cookie of theirs. Who sees these on the way, as the provider does, learns neither ticket nor cookie, and so makes no bond for a
//! cookie of their own. Nobody comes back without the cookie, and nothing has to be kept about who opened a link.

use linkspan_domain::{KeyHash, Secret};
use url::Url;

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

    /// That of the authorization whose provider is at `url`, as it is remembered.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let (_, ticket) = url.query_pairs().find(|(name, _)| name == "state")?;
        Some(Self(Secret::new(ticket.into_owned())))
    }

    /// For the links to us.
    pub(super) const fn expose(&self) -> &String {
        self.0.expose()
    }

    /// To be remembered with the authorization.
    pub(super) const fn secret(&self) -> &Secret<String> {
        &self.0
    }

    /// What the authorization is kept under.
    pub(super) fn kept_under(&self) -> KeyHash {
        KeyHash::of(&self.proof())
    }

    /// What `browser` is sent to the provider with.
    pub(super) fn state_for(&self, browser: &Browser) -> String {
        format!("{}.{}", self.proof().expose(), browser.bond(self).as_str())
    }

    /// What shows that somebody has the ticket, or saw somebody who had it.
    fn proof(&self) -> Secret<String> {
        Secret::new(KeyHash::of(&self.0).as_str().to_owned())
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

    /// Of no use with any other ticket, so that a provider who sees it learns nothing for another authorization.
    fn bond(&self, ticket: &Ticket) -> KeyHash {
        KeyHash::of(&Secret::new(format!("{}.{}", self.expose(), ticket.expose())))
    }
}

/// The state that a person came back with.
pub(super) struct Brought<'s> {
    proof: &'s str,
    bond: &'s str,
}

impl<'s> Brought<'s> {
    /// None: we sent nobody with it.
    pub(super) fn read(state: &'s Secret<String>) -> Option<Self> {
        let (proof, bond) = state.expose().split_once('.')?;
        Some(Self { proof, bond })
    }

    /// What the authorization is kept under that they came back for.
    pub(super) fn kept_under(&self) -> KeyHash {
        KeyHash::of(&Secret::new(self.proof.to_owned()))
    }

    /// Whether they are in the browser that they left with, by `ticket`.
    pub(super) fn is_by(&self, ticket: &Ticket, browser: Option<&Browser>) -> bool {
        browser.is_some_and(|it| it.bond(ticket).as_str() == self.bond)
    }
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
        let state = secret(&ticket.state_for(&browser));
        let brought = Brought::read(&state).unwrap();
        assert_eq!(brought.kept_under(), ticket.kept_under());
        assert!(brought.is_by(&ticket, Some(&browser)));
    }

    #[test]
    fn nothing_that_a_provider_sees_leads_there_without_the_cookie() {
        let ticket = ticket("ticket");
        let (browser, other) = (Browser::new(secret("browser")), Browser::new(secret("other")));
        let sent = ticket.state_for(&browser);
        let is_taken = |state: &str, browser| {
            let state = secret(state);
            let brought = Brought::read(&state);
            brought.is_some_and(|it| {
                it.kept_under() == ticket.kept_under() && it.is_by(&ticket, browser)
            })
        };
        assert!(is_taken(&sent, Some(&browser)));
        assert!(!is_taken(&sent, None) && !is_taken(&sent, Some(&other)));
        let (proof, bond) = sent.split_once('.').unwrap();
        for seen in [proof, bond, &format!("{bond}{proof}"), &format!("{bond}.{proof}")] {
            assert!(!is_taken(seen, Some(&browser)), "{seen}");
        }
        // Whoever sees it makes a bond of what they see to a cookie of their own.
        for seen in [proof, bond, &sent] {
            let forged = other.bond(&Ticket::new(secret(seen)));
            assert!(!is_taken(&format!("{proof}.{}", forged.as_str()), Some(&other)), "{seen}");
        }
        let elsewhere = Ticket::new(secret("another ticket")).state_for(&browser);
        let (elsewhere, _) = elsewhere.split_once('.').unwrap();
        assert!(!is_taken(&format!("{elsewhere}.{bond}"), Some(&browser)), "another authorization");
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
