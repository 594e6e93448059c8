//! Permissions, and the roles that grant them.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use strum::VariantNames;

/// What a caller may do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
pub enum Permission {
    /// List, view, discover.
    #[serde(rename = "connector:read")]
    #[strum(to_string = "connector:read", serialize = "connector.read")]
    ConnectorRead,
    /// Create, change, delete, test, sync, execute.
    #[serde(rename = "connector:manage")]
    #[strum(
        to_string = "connector:manage",
        serialize = "connector.manage",
        serialize = "connector.edit"
    )]
    ConnectorManage,
    /// Everything: the catalog, workspaces, people, keys, the audit trail.
    #[serde(rename = "org:admin")]
    #[strum(to_string = "org:admin", serialize = "org.admin")]
    OrgAdmin,
}

/// Reads all spellings. What is none of them is told the ones to write.
impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let names = Self::VARIANTS.join(", ");
        text.parse().map_err(|_| D::Error::custom(format!("must be one of {names}")))
    }
}

/// What a person is in an organization.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// May do everything.
    Admin,
    /// Reads and manages connectors.
    Designer,
    /// Reads connectors.
    Analyst,
    /// Sees no connectors.
    Viewer,
}

impl Role {
    /// What the role grants.
    pub fn permissions(self) -> BTreeSet<Permission> {
        use Permission::{ConnectorManage, ConnectorRead, OrgAdmin};
        match self {
            Self::Admin => [ConnectorRead, ConnectorManage, OrgAdmin].into(),
            Self::Designer => [ConnectorRead, ConnectorManage].into(),
            Self::Analyst => [ConnectorRead].into(),
            Self::Viewer => BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_spellings_are_accepted() {
        for (dotted, permission) in [
            ("connector.read", Permission::ConnectorRead),
            ("connector.edit", Permission::ConnectorManage),
            ("org.admin", Permission::OrgAdmin),
        ] {
            assert_eq!(dotted.parse(), Ok(permission));
            assert_eq!(serde_json::from_value::<Permission>(dotted.into()).unwrap(), permission);
        }
        assert_eq!(Permission::OrgAdmin.to_string(), "org:admin");
        let refused = serde_json::from_value::<Permission>("connector:edit".into()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "must be one of connector:read, connector:manage, org:admin"
        );
    }
}
