//! What makes changes to the audit trail show.

use std::{fmt, fmt::Write, str::FromStr};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc3339;

use super::AuditEvent;
use crate::OrganizationId;

/// The place of an event in the chain of its organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainLink {
    /// Its number, from 1 on, without gaps.
    pub sequence: i64,
    /// Stands for the event and all before it.
    pub hash: ChainHash,
}

/// Stands for an event and all before it: SHA-256 of the hash before, a line feed, and the event as JSON.
///
/// The hash before is in hexadecimal. The JSON is what the API shows as the attributes of the event but its `hash`, without
/// blanks and with keys in order, as `jq -cS` writes it. So others can follow the chain with tools of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

/// A text that is no hash of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash of the audit trail has 64 hexadecimal digits")]
pub struct InvalidChainHash;

impl ChainHash {
    /// Of nothing: what the first event of `organization` follows.
    pub fn genesis(organization: OrganizationId) -> Self {
        Self(Sha256::digest(format!("linkspan audit trail of {organization}")).into())
    }

    /// Of `event` after what this stands for. The number of the event counts, its own hash does not.
    #[must_use]
    pub fn then(self, event: &AuditEvent) -> Self {
        Self(Sha256::digest(format!("{self}\n{}", canonical(event))).into())
    }
}

impl ChainLink {
    /// The place of `event` behind this one.
    #[must_use]
    pub fn then(self, event: &AuditEvent) -> Self {
        let sequence = self.sequence + 1;
        let placed = AuditEvent { link: Some(Self { sequence, ..self }), ..event.clone() };
        Self { sequence, hash: self.hash.then(&placed) }
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChainHash {
    type Err = InvalidChainHash;

    fn from_str(text: &str) -> Result<Self, InvalidChainHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(InvalidChainHash);
        }
        let mut bytes = [0; 32];
        for (byte, place) in bytes.iter_mut().zip(0..) {
            let pair = text.get(2 * place..2 * place + 2).ok_or(InvalidChainHash)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidChainHash)?;
        }
        Ok(Self(bytes))
    }
}

fn canonical(event: &AuditEvent) -> String {
    let AuditEvent {
        id,
        organization_id,
        workspace_id,
        actor_type,
        actor_id,
        action,
        resource_type,
        resource_id,
        details,
        ip_address,
        trace_id,
        created_at,
        link,
    } = event;
    let mut text = String::with_capacity(512);
    let whole = json!({
        "action": action,
        "actor_id": actor_id,
        "actor_type": <&str>::from(actor_type),
        "audit_event_id": id,
        // What cannot be written cannot have been read: years have four digits.
        "created_at": created_at.format(&Rfc3339).unwrap_or_default(),
        "details": details,
        "ip_address": ip_address,
        "organization_id": organization_id,
        "resource_id": resource_id,
        "resource_type": <&str>::from(resource_type),
        "sequence": link.map(|it| it.sequence),
        "trace_id": trace_id,
        "workspace_id": workspace_id,
    });
    write_sorted(&whole, &mut text);
    text
}

/// Databases that keep JSON as such do not keep the order of its keys.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (place, (name, value)) in entries.into_iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                // Writing to a string cannot fail.
                let _ = write!(text, "{}:", Value::String(name.clone()));
                write_sorted(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                write_sorted(item, text);
            }
            text.push(']');
        }
        plain => {
            let _ = write!(text, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::{ActorType, AuditEventId, ResourceType};

    fn event() -> AuditEvent {
        AuditEvent {
            id: AuditEventId::from_uuid(Uuid::from_u128(7)),
            organization_id: OrganizationId::from_uuid(Uuid::from_u128(1)),
            workspace_id: None,
            actor_type: ActorType::Person,
            actor_id: Some(Uuid::from_u128(2)),
            action: "person.updated".to_owned(),
            resource_type: ResourceType::Person,
            resource_id: Some(Uuid::from_u128(3)),
            details: json!({ "changed": ["role"], "at": { "z": 1, "a": "é\n" } }),
            ip_address: Some("192.0.2.7".to_owned()),
            trace_id: "t".to_owned(),
            created_at: datetime!(2026-05-01 12:00:00.25 UTC),
            link: None,
        }
    }

    /// Made with `printf '%s\n%s' "$before" "$(jq -cS …)" | sha256sum`.
    #[test]
    fn the_chain_can_be_followed_with_other_tools() {
        let before = ChainHash::genesis(event().organization_id);
        assert_eq!(before.to_string(), GENESIS);
        let link = ChainLink { sequence: 4, hash: before }.then(&event());
        assert_eq!((link.sequence, link.hash.to_string().as_str()), (5, FIFTH));
        assert_eq!(FIFTH.parse(), Ok(link.hash));
        for bad in ["", "0", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(bad.parse::<ChainHash>(), Err(InvalidChainHash), "{bad}");
        }
    }

    const GENESIS: &str = "03ba068379d24b21ab40764c127f5f1a6345ff0d9f08fdd9dbf89c106a085e67";
    const FIFTH: &str = "1bde74ce0039fefc7fe20499f7001d017a86834a8a3e66f0ce82721d940ed1ca";

    #[test]
    fn every_part_of_an_event_and_its_place_count() {
        type Change = fn(&mut AuditEvent);
        let changes: [Change; 13] = [
            |it| it.id = AuditEventId::from_uuid(Uuid::from_u128(8)),
            |it| it.organization_id = OrganizationId::from_uuid(Uuid::from_u128(2)),
            |it| it.workspace_id = Some(crate::WorkspaceId::from_uuid(Uuid::from_u128(2))),
            |it| it.actor_type = ActorType::ApiKey,
            |it| it.actor_id = None,
            |it| it.action = "person.created".to_owned(),
            |it| it.resource_type = ResourceType::Workspace,
            |it| it.resource_id = None,
            |it| it.details = json!({ "changed": ["name"] }),
            |it| it.ip_address = None,
            |it| it.trace_id = "u".to_owned(),
            |it| it.created_at = datetime!(2026-05-01 12:00 UTC),
            |it| it.link = Some(ChainLink { sequence: 1, hash: ChainHash([0; 32]) }),
        ];
        let genesis = ChainHash::genesis(event().organization_id);
        let mut seen = vec![genesis.then(&event()), genesis.then(&event()).then(&event())];
        for change in changes {
            let mut other = event();
            change(&mut other);
            let hash = genesis.then(&other);
            assert!(!seen.contains(&hash), "{other:?}");
            seen.push(hash);
        }
    }

    #[test]
    fn the_order_of_keys_and_the_hash_kept_with_an_event_do_not_count() {
        let genesis = ChainHash::genesis(event().organization_id);
        let details = json!({ "at": { "a": "é\n", "z": 1 }, "changed": ["role"] });
        assert_eq!(genesis.then(&AuditEvent { details, ..event() }), genesis.then(&event()));
        let placed = |byte| {
            let link = Some(ChainLink { sequence: 1, hash: ChainHash([byte; 32]) });
            genesis.then(&AuditEvent { link, ..event() })
        };
        assert_eq!(placed(1), placed(2));
    }
}
