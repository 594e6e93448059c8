//! What a process does.

use std::{collections::BTreeSet, str::FromStr};

use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;

/// A part of the platform that a process can be.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumIter,
    strum::EnumString,
    strum::Display,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Role {
    /// Serves the API.
    Api,
    /// Starts the runs of schedules.
    Scheduler,
    /// Works off runs.
    Worker,
}

/// What a process does: one role at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Roles(BTreeSet<Role>);

/// A text that names no roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must name one or more of api, scheduler and worker, separated by commas")]
pub(crate) struct InvalidRoles;

impl Roles {
    /// Everything.
    pub(crate) fn all() -> Self {
        Self(Role::iter().collect())
    }

    /// Nothing but `role`.
    pub(crate) fn only(role: Role) -> Self {
        Self(BTreeSet::from([role]))
    }

    /// Whether `role` is among them.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

impl FromStr for Roles {
    type Err = InvalidRoles;

    fn from_str(text: &str) -> Result<Self, InvalidRoles> {
        let roles = text.split(',').map(|it| it.trim().parse());
        roles.collect::<Result<_, _>>().map(Self).map_err(|_| InvalidRoles)
    }
}

impl TryFrom<String> for Roles {
    type Error = InvalidRoles;

    fn try_from(text: String) -> Result<Self, InvalidRoles> {
        text.parse()
    }
}

impl From<Roles> for String {
    fn from(roles: Roles) -> Self {
        roles.to_string()
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.iter().map(Role::to_string).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_and_never_none() {
        let roles: Roles = "worker, api".parse().unwrap();
        assert!(roles.has(Role::Api) && roles.has(Role::Worker) && !roles.has(Role::Scheduler));
        assert_eq!(Roles::all().to_string(), "api,scheduler,worker");
        assert_eq!(Roles::all().to_string().parse(), Ok(Roles::all()));
        for bad in ["", ",", "api,", "server"] {
            assert_eq!(bad.parse::<Roles>(), Err(InvalidRoles), "{bad}");
        }
    }
}
