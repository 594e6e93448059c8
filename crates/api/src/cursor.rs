//! Cursors: places in a list, opaque to clients and good for that list alone.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use linkspan_domain::{AttributeKind, Caller, Code, ListQuery, Position};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::problem::Failure;

/// What a cursor is bound to: the kind of thing, the tenant, the filters and the order.
#[derive(Clone)]
pub(crate) struct Scope(Sha256);

/// How many bytes of the hash a cursor carries.
const SEAL: usize = 9;

impl Scope {
    /// The scope of listing things of type `kind` with `query`, seen by `caller`. Where in the list makes no difference.
    pub(crate) fn new(kind: &str, caller: &Caller, query: &ListQuery) -> Self {
        let mut text = String::with_capacity(200);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{kind}|{}|{}|{:?}|{:?}|{:?}",
            caller.organization,
            caller.visible.workspace,
            query.deleted,
            query.sort.iter().map(|it| (it.attribute.name, it.order)).collect::<Vec<_>>(),
            query.filters.iter().map(|it| (it.attribute.name, &it.test)).collect::<Vec<_>>(),
        );
        Self(Sha256::new_with_prefix(text))
    }

    /// The scope of what a workspace holds in an order of its own, seen by `caller`.
    pub(crate) fn of_workspace(kind: &str, caller: &Caller) -> Self {
        Self::new(kind, caller, &ListQuery::default())
    }

    /// The cursor of `position`.
    pub(crate) fn seal(&self, position: &impl Serialize) -> String {
        let mut bytes = vec![0; SEAL];
        if serde_json::to_writer(&mut bytes, position).is_err() {
            return String::new();
        }
        let seal = self.seal_of(&bytes[SEAL..]);
        bytes[..SEAL].copy_from_slice(&seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position that a cursor of this scope stands for.
    pub(crate) fn open(
        &self,
        query: &ListQuery,
        parameter: &str,
        cursor: &str,
    ) -> Result<Position, Failure> {
        let position: Option<Vec<Value>> = self.position(cursor);
        let position = position.filter(|it| {
            let keys = query.sort.iter().map(|it| it.attribute.kind);
            it.len() == query.sort.len() + 1
                && it.iter().zip(keys).all(|(value, kind)| value.is_null() || is_of(value, kind))
                && it.last().is_some_and(|it| is_of(it, AttributeKind::Id))
        });
        position.map(Position).ok_or_else(|| {
            let detail = "the cursor does not belong to this list; take one from `links` or `meta.page.cursor` of a page \
                          with the same sort and filters";
            Failure::new(Code::InvalidCursor, detail).in_parameter(parameter)
        })
    }

    /// The position that a cursor of what a [workspace](Self::of_workspace) holds stands for.
    pub(crate) fn resume<T: DeserializeOwned>(&self, cursor: &str) -> Result<T, Failure> {
        self.position(cursor).ok_or_else(|| {
            let detail = "the cursor does not belong here; take one from `meta.page.cursor` of an answer to the same workspace";
            Failure::new(Code::InvalidCursor, detail)
        })
    }

    /// The position that a cursor stands for, if it is one of this scope.
    fn position<T: DeserializeOwned>(&self, cursor: &str) -> Option<T> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (seal, place) = bytes.split_at_checked(SEAL)?;
        (seal == self.seal_of(place)).then(|| serde_json::from_slice(place).ok())?
    }

    fn seal_of(&self, place: &[u8]) -> [u8; SEAL] {
        let digest = self.0.clone().chain_update(place).finalize();
        std::array::from_fn(|at| digest[at])
    }
}

/// Whether a list could have put `value` into a position under an attribute of this kind. The seal is no secret: whoever knows
/// how it is made can seal anything.
fn is_of(value: &Value, kind: AttributeKind) -> bool {
    let text = value.as_str();
    match kind {
        // PostgreSQL has no U+0000.
        AttributeKind::Text | AttributeKind::Enum(_) => text.is_some_and(|it| !it.contains('\0')),
        AttributeKind::Id => text.is_some_and(|it| it.parse::<Uuid>().is_ok()),
        AttributeKind::Number => value.is_i64(),
        AttributeKind::Boolean => value.is_boolean(),
        AttributeKind::Date => text.is_some_and(|it| OffsetDateTime::parse(it, &Rfc3339).is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{
        Connector, Filter, OrganizationId, Resource, Sort, Visible, WorkspaceId,
    };
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn query(sort: &str) -> ListQuery {
        ListQuery {
            sort: Sort::parse(Connector::ATTRIBUTES, sort).unwrap(),
            ..ListQuery::default()
        }
    }

    fn scope(workspace: u128, query: &ListQuery) -> Scope {
        let workspace = WorkspaceId::from_uuid(Uuid::from_u128(workspace));
        let organization = OrganizationId::from_uuid(Uuid::nil());
        let caller = Caller::system(organization, Visible::only(workspace));
        Scope::new("connector", &caller, query)
    }

    #[test]
    fn a_cursor_opens_in_its_own_list_only() {
        let by_name = query("name");
        let position = Position(vec![json!("Stripe"), json!(Uuid::nil())]);
        let cursor = scope(1, &by_name).seal(&position);
        assert_eq!(scope(1, &by_name).open(&by_name, "page[after]", &cursor), Ok(position));

        let mut filtered = by_name.clone();
        filtered.filters.push(Filter::parse(Connector::ATTRIBUTES, "name", "eq", "x").unwrap());
        for (other, query) in [
            (scope(2, &by_name), &by_name),
            (scope(1, &query("-name")), &by_name),
            (scope(1, &filtered), &filtered),
        ] {
            let failure = other.open(query, "page[after]", &cursor).unwrap_err();
            assert_eq!(failure.code, Code::InvalidCursor);
        }
    }

    #[test]
    fn an_altered_cursor_is_refused() {
        let by_name = query("name");
        let scope = scope(1, &by_name);
        let cursor = scope.seal(&Position(vec![json!("Stripe"), json!(Uuid::nil())]));
        for at in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(scope.open(&by_name, "page[after]", &altered).is_err(), "{at}");
        }
        assert!(scope.open(&by_name, "page[after]", "").is_err());
        assert!(scope.open(&by_name, "page[after]", "é").is_err());
    }

    #[test]
    fn a_sealed_position_that_no_list_has_is_refused() {
        let nil = json!(Uuid::nil());
        for (sort, place) in [
            ("name", vec![json!(1), nil.clone()]),
            ("name", vec![json!("\0"), nil.clone()]),
            ("name", vec![json!("Stripe"), json!("1")]),
            ("name", vec![json!("Stripe"), json!(null)]),
            ("created_at", vec![json!("yesterday"), nil.clone()]),
            ("created_at", vec![nil.clone()]),
        ] {
            let query = query(sort);
            let scope = scope(1, &query);
            let forged = scope.seal(&Position(place.clone()));
            let failure = scope.open(&query, "page[after]", &forged).unwrap_err();
            assert_eq!(failure.code, Code::InvalidCursor, "{place:?}");
        }
    }
}
