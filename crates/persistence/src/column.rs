//! Values between columns and the domain.

use linkspan_domain::ports::StoreError;
use sea_orm::sea_query::{ColumnType, IntoIden};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::error::{corrupt, unstorable};

/// A column whose type on PostgreSQL is a native enum. On SQLite it is checked text.
pub(crate) trait NativeEnum {
    /// Of the type called `name`.
    fn native(name: &'static str) -> ColumnType;
}

impl NativeEnum for ColumnType {
    fn native(name: &'static str) -> ColumnType {
        // The words are said by the migration; here they would only be written down again.
        ColumnType::Enum { name: name.into_iden(), variants: Vec::new() }
    }
}

/// `value` for a JSON column.
pub(crate) fn to_json(value: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(unstorable)
}

/// As [`to_json`], where there may be none.
pub(crate) fn to_optional_json(
    value: Option<&impl Serialize>,
) -> Result<Option<Value>, StoreError> {
    value.map(to_json).transpose()
}

/// What a JSON column holds. The error names the column alone: that of the parser would quote what is in it.
pub(crate) fn from_json<T: DeserializeOwned>(
    column: &'static str,
    value: Value,
) -> Result<T, StoreError> {
    serde_json::from_value(value)
        .map_err(|_| corrupt(format!("the column `{column}` holds JSON of another shape")))
}

/// As [`from_json`], where there may be nothing.
pub(crate) fn from_optional_json<T: DeserializeOwned>(
    column: &'static str,
    value: Option<Value>,
) -> Result<Option<T>, StoreError> {
    value.map(|value| from_json(column, value)).transpose()
}
