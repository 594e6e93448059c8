//! Asking for more than was granted where a resource wants more, and not for ever (MCP, "Step-Up Authorization Flow").

use std::collections::BTreeSet;

/// What a resource was asked to be entered with: more each time that it wants more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    asked_for: BTreeSet<String>,
    times: usize,
}

/// What was granted is not enough, however often it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is granted is never enough: {} was asked for {} times", listed(.asked_for), StepUp::LIMIT)]
pub struct NeverEnough {
    /// What was asked for in the end.
    pub asked_for: BTreeSet<String>,
}

impl StepUp {
    /// How often authorization is asked for at one resource, the first time included.
    pub const LIMIT: usize = 3;

    /// What to ask for next, where a resource wants `scopes`: with all that was asked for before, so that nothing that was
    /// granted is lost on the way. [`NeverEnough`] where it was asked so often that more of it is of no use.
    pub fn ask(&mut self, scopes: BTreeSet<String>) -> Result<&BTreeSet<String>, NeverEnough> {
        if self.times == Self::LIMIT {
            return Err(NeverEnough { asked_for: self.asked_for.clone() });
        }
        self.times += 1;
        self.asked_for.extend(scopes);
        Ok(&self.asked_for)
    }

    /// All that was asked for so far.
    pub const fn asked_for(&self) -> &BTreeSet<String> {
        &self.asked_for
    }
}

fn listed(scopes: &BTreeSet<String>) -> String {
    if scopes.is_empty() {
        return "whatever the server gives".to_owned();
    }
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(scopes: &[&str]) -> BTreeSet<String> {
        scopes.iter().map(|&it| it.to_owned()).collect()
    }

    /// Checklist 16.
    #[test]
    fn each_step_asks_for_all_that_was_asked_for_before_and_what_is_missing() {
        let mut step_up = StepUp::default();
        assert_eq!(step_up.ask(set(&["read"])), Ok(&set(&["read"])));
        assert_eq!(step_up.ask(set(&["write"])), Ok(&set(&["read", "write"])));
        assert_eq!(*step_up.asked_for(), set(&["read", "write"]));
    }

    /// Checklist 16.
    #[test]
    fn nobody_is_asked_for_ever() {
        let mut step_up = StepUp::default();
        for _ in 0..StepUp::LIMIT {
            step_up.ask(set(&["write"])).unwrap();
        }
        let never = step_up.ask(set(&["more"])).unwrap_err();
        assert_eq!(never.asked_for, set(&["write"]));
        assert_eq!(
            never.to_string(),
            "what is granted is never enough: write was asked for 3 times"
        );
        let silent = NeverEnough { asked_for: set(&[]) };
        assert!(silent.to_string().contains("whatever the server gives"), "{silent}");
    }
}
