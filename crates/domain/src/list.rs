//! Lists: filters, sorting and keyset paging over the attributes of a resource.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{Attribute, AttributeKind, whole::whole};

/// What to list, in which order, and which page of it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ListQuery {
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Most significant first. The identifier is always the last, silent key.
    pub sort: Vec<Sort>,
    /// Which page.
    pub page: PageRequest,
    /// Whether soft-deleted things are listed.
    pub deleted: Deleted,
}

/// Whether soft-deleted things are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Deleted {
    /// Only what is live.
    #[default]
    Hidden,
    /// Live and deleted alike.
    Shown,
}

/// One condition on one attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Which attribute.
    pub attribute: Attribute,
    /// What must hold.
    pub test: FilterTest,
}

/// What must hold of an attribute. Text is compared without regard to case.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum FilterTest {
    Equals(FilterValue),
    /// Also true where there is no value.
    Differs(FilterValue),
    Greater(FilterValue),
    GreaterOrEqual(FilterValue),
    Less(FilterValue),
    LessOrEqual(FilterValue),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    OneOf(Vec<FilterValue>),
    IsNull,
    IsNotNull,
}

/// A value to compare with, of the attribute's kind.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum FilterValue {
    Text(String),
    Word(&'static str),
    Id(Uuid),
    Number(i64),
    Date(OffsetDateTime),
    Boolean(bool),
}

/// A filter that does not fit its attribute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// No such attribute.
    #[error("there is no attribute `{name}` to filter by; known: {known}")]
    UnknownAttribute {
        /// As asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The operator does not apply to attributes of that kind.
    #[error("`{attribute}` cannot be filtered with `{operator}`; it takes {known}")]
    UnknownOperator {
        /// Which attribute.
        attribute: &'static str,
        /// As asked for.
        operator: String,
        /// What applies.
        known: &'static str,
    },
    /// The value is not one the attribute can have.
    #[error("`{attribute}` takes {expected}")]
    InvalidValue {
        /// Which attribute.
        attribute: &'static str,
        /// What it takes.
        expected: String,
    },
}

impl Filter {
    /// Reads `filter[name][operator]=value` against the attributes of a resource.
    ///
    /// ```
    /// use linkspan_domain::{Connector, Filter, Resource};
    /// assert!(Filter::parse(Connector::ATTRIBUTES, "name", "contains", "stripe").is_ok());
    /// assert!(Filter::parse(Connector::ATTRIBUTES, "name", "gt", "stripe").is_err());
    /// ```
    pub fn parse(
        attributes: &[Attribute],
        name: &str,
        operator: &str,
        value: &str,
    ) -> Result<Self, InvalidFilter> {
        let attribute = find(attributes, name)?;
        let parse = |text: &str| FilterValue::parse(attribute, text);
        let known = attribute.kind.operators();
        let unknown = || InvalidFilter::UnknownOperator {
            attribute: attribute.name,
            operator: operator.chars().take(40).collect(),
            known,
        };
        if !known.split(' ').any(|it| it == operator) {
            return Err(unknown());
        }
        let test = match operator {
            "eq" => FilterTest::Equals(parse(value)?),
            "neq" => FilterTest::Differs(parse(value)?),
            "gt" => FilterTest::Greater(parse(value)?),
            "gte" => FilterTest::GreaterOrEqual(parse(value)?),
            "lt" => FilterTest::Less(parse(value)?),
            "lte" => FilterTest::LessOrEqual(parse(value)?),
            "contains" => FilterTest::Contains(value.to_owned()),
            "starts_with" => FilterTest::StartsWith(value.to_owned()),
            "ends_with" => FilterTest::EndsWith(value.to_owned()),
            "in" => FilterTest::OneOf(value.split(',').map(parse).collect::<Result<_, _>>()?),
            "is_null" => match value {
                "true" => FilterTest::IsNull,
                "false" => FilterTest::IsNotNull,
                _ => return Err(invalid(attribute, "true or false with `is_null`")),
            },
            _ => return Err(unknown()),
        };
        Ok(Self { attribute, test })
    }
}

impl AttributeKind {
    /// The filter operators that apply, separated by blanks.
    pub const fn operators(self) -> &'static str {
        match self {
            Self::Text => "eq neq contains starts_with ends_with is_null",
            Self::Id => "eq neq in is_null",
            Self::Number | Self::Date => "eq neq gt gte lt lte is_null",
            Self::Boolean => "eq",
            Self::Enum(_) => "eq neq in is_null",
        }
    }
}

impl FilterValue {
    fn parse(attribute: Attribute, text: &str) -> Result<Self, InvalidFilter> {
        match attribute.kind {
            AttributeKind::Text => Ok(Self::Text(text.to_owned())),
            AttributeKind::Id => {
                text.parse().map(Self::Id).map_err(|_| invalid(attribute, "a UUID"))
            }
            AttributeKind::Number => {
                text.parse().map(Self::Number).map_err(|_| invalid(attribute, "a whole number"))
            }
            AttributeKind::Date => OffsetDateTime::parse(text, &Rfc3339)
                .map(Self::Date)
                .map_err(|_| invalid(attribute, "an instant such as 2026-05-01T12:00:00Z")),
            AttributeKind::Boolean => {
                text.parse().map(Self::Boolean).map_err(|_| invalid(attribute, "true or false"))
            }
            AttributeKind::Enum(words) => words
                .iter()
                .find(|it| **it == text)
                .map(|it| Self::Word(it))
                .ok_or_else(|| invalid(attribute, &format!("one of {}", words.join(", ")))),
        }
    }
}

fn invalid(attribute: Attribute, expected: &str) -> InvalidFilter {
    InvalidFilter::InvalidValue { attribute: attribute.name, expected: expected.to_owned() }
}

fn find(attributes: &[Attribute], name: &str) -> Result<Attribute, InvalidFilter> {
    attributes.iter().copied().find(|it| it.name == name).ok_or_else(|| {
        InvalidFilter::UnknownAttribute {
            name: name.chars().take(40).collect(),
            known: attributes.iter().map(|it| it.name).collect::<Vec<_>>().join(", "),
        }
    })
}

/// One key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Which attribute.
    pub attribute: Attribute,
    /// Which way.
    pub order: Order,
}

/// Which way a list is ordered. Things without a value come last either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Order {
    Ascending,
    Descending,
}

impl Sort {
    /// Newest first: the order of a list that asks for none.
    pub const NEWEST: Self =
        Self { attribute: Attribute::date("created_at"), order: Order::Descending };

    /// Reads `-created_at,name` against the attributes of a resource.
    pub fn parse(attributes: &[Attribute], text: &str) -> Result<Vec<Self>, InvalidFilter> {
        text.split(',')
            .map(|key| {
                let (name, order) = key
                    .strip_prefix('-')
                    .map_or((key, Order::Ascending), |name| (name, Order::Descending));
                find(attributes, name).map(|attribute| Self { attribute, order })
            })
            .collect()
    }
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageRequest {
    /// At most so many things.
    pub size: PageSize,
    /// Only things strictly behind this position.
    pub after: Option<Position>,
    /// Only things strictly before this position. Without `after`, the page that ends there.
    pub before: Option<Position>,
}

/// How many things a page holds at most: 1 to 500, 20 unless told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// The largest page.
    pub const MAX: u16 = 500;

    /// Checks a size from outside.
    pub fn new(size: u16) -> Option<Self> {
        (1..=Self::MAX).contains(&size).then_some(Self(size))
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for PageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = whole(deserializer, 1..=Self::MAX.into())?;
        u16::try_from(size).map(Self).map_err(Error::custom)
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(20)
    }
}

/// A place in an ordered list: the values of the sort keys there, then the identifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub Vec<Value>);

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<R> {
    /// The things, each with its place in the list.
    pub items: Vec<(R, Position)>,
    /// How many things the whole list has.
    pub total: u64,
    /// Whether there are things before this page.
    pub has_before: bool,
    /// Whether there are things behind this page.
    pub has_after: bool,
}

impl<R> Page<R> {
    /// The things alone.
    pub fn into_resources(self) -> Vec<R> {
        self.items.into_iter().map(|(resource, _)| resource).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTRIBUTES: &[Attribute] = &[
        Attribute::text("name"),
        Attribute::date("created_at"),
        Attribute::boolean("template"),
        Attribute::one_of("status", &["on", "off"]),
    ];

    #[test]
    fn each_kind_takes_its_own_operators() {
        for (name, operator, value, fits) in [
            ("name", "contains", "x", true),
            ("name", "gt", "x", false),
            ("created_at", "gte", "2026-01-01T00:00:00Z", true),
            ("created_at", "gte", "yesterday", false),
            ("template", "eq", "true", true),
            ("template", "neq", "true", false),
            ("status", "in", "on,off", true),
            ("status", "in", "on,maybe", false),
            ("status", "is_null", "false", true),
            ("status", "is_null", "perhaps", false),
            ("colour", "eq", "red", false),
        ] {
            let parsed = Filter::parse(ATTRIBUTES, name, operator, value);
            assert_eq!(parsed.is_ok(), fits, "{name} {operator} {value}: {parsed:?}");
        }
    }

    #[test]
    fn a_minus_sorts_downwards() {
        let sort = Sort::parse(ATTRIBUTES, "-created_at,name").unwrap();
        assert_eq!(sort[0].order, Order::Descending);
        assert_eq!((sort[1].attribute.name, sort[1].order), ("name", Order::Ascending));
        assert!(Sort::parse(ATTRIBUTES, "").is_err());
    }
}
