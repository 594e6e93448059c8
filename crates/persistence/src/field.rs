//! Where an attribute is kept, and how it compares.

use linkspan_domain::{FilterTest, FilterValue};
use sea_orm::{
    ColumnTrait, ColumnTypeTrait, Condition, DbBackend,
    sea_query::{ColumnRef, DynIden, Expr, ExprTrait, Func, IntoColumnRef},
};
use time::Duration;

use crate::instant::whole_microseconds;

/// A column that lists can be filtered and sorted by.
///
/// Text compares without regard to the case of ASCII letters: the case that both databases know alike.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    column: ColumnRef,
    /// The native type, if it has one.
    native: Option<DynIden>,
    nullable: bool,
}

impl Field {
    /// A column of the table itself, or of one that every row refers to.
    pub(crate) fn of<C: ColumnTrait>(column: C) -> Self {
        let definition = column.def();
        Self {
            column: (column.entity_name(), column).into_column_ref(),
            native: definition.get_column_type().get_enum_name().cloned(),
            nullable: definition.is_null(),
        }
    }

    /// The same column, of a table that a row may refer to, or not.
    pub(crate) fn or_nothing(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// A column of a table that a row may refer to, under another name.
    pub(crate) fn aliased(column: impl IntoColumnRef) -> Self {
        Self { column: column.into_column_ref(), native: None, nullable: true }
    }

    /// The column.
    pub(crate) fn expr(&self) -> Expr {
        Expr::col(self.column.clone())
    }

    /// Whether it has a type of its own on PostgreSQL.
    pub(crate) const fn is_native(&self) -> bool {
        self.native.is_some()
    }

    /// Whether it may be without a value.
    pub(crate) const fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// What `test` asks of the column.
    pub(crate) fn test(&self, backend: DbBackend, test: &FilterTest) -> Condition {
        let holds = match test {
            FilterTest::Equals(value) => self.equals(value),
            FilterTest::Differs(value) => {
                return Condition::any().add(self.expr().is_null()).add(self.equals(value).not());
            }
            FilterTest::Greater(value) => self.expr().gt(bound(value, Edge::Floor)),
            FilterTest::GreaterOrEqual(value) => self.expr().gte(bound(value, Edge::Ceiling)),
            FilterTest::Less(value) => self.expr().lt(bound(value, Edge::Ceiling)),
            FilterTest::LessOrEqual(value) => self.expr().lte(bound(value, Edge::Floor)),
            FilterTest::Contains(part) => {
                self.text(part, |it, part| position(backend, it, part).gt(0))
            }
            FilterTest::StartsWith(part) => {
                self.text(part, |it, part| position(backend, it, part).eq(1))
            }
            FilterTest::EndsWith(part) => self.text(part, ends_with),
            FilterTest::OneOf(values) => {
                return values
                    .iter()
                    .fold(Condition::any(), |any, value| any.add(self.equals(value)))
                    .add(never());
            }
            FilterTest::IsNull => self.expr().is_null(),
            FilterTest::IsNotNull => self.expr().is_not_null(),
        };
        Condition::all().add(holds)
    }

    fn equals(&self, value: &FilterValue) -> Expr {
        match value {
            FilterValue::Text(text) => self.text(text, ExprTrait::eq),
            FilterValue::Word(word) => match &self.native {
                Some(native) => self.expr().eq(Expr::val(*word).as_enum(native.clone())),
                None => self.expr().eq(*word),
            },
            FilterValue::Date(at) if whole_microseconds(*at) != *at => never(),
            other => self.expr().eq(bound(other, Edge::Floor)),
        }
    }

    /// Compares with a text, both in lower case. No stored text has a NUL, and PostgreSQL takes none, so that
    /// nothing is like a text that has one.
    fn text(&self, text: &str, compare: impl FnOnce(Expr, Expr) -> Expr) -> Expr {
        if text.contains('\0') {
            return self.expr().is_not_null().and(never());
        }
        compare(lower(self.expr()), Expr::val(text.to_ascii_lowercase()))
    }
}

/// Which way a bound is rounded to what is kept.
#[derive(Clone, Copy)]
enum Edge {
    Floor,
    Ceiling,
}

fn bound(value: &FilterValue, edge: Edge) -> Expr {
    match value {
        FilterValue::Text(text) => Expr::val(text.as_str()),
        FilterValue::Word(word) => Expr::val(*word),
        FilterValue::Id(id) => Expr::val(*id),
        FilterValue::Number(number) => Expr::val(*number),
        FilterValue::Boolean(truth) => Expr::val(*truth),
        FilterValue::Date(at) => {
            let floor = whole_microseconds(*at);
            Expr::val(match edge {
                Edge::Ceiling if floor != *at => floor.saturating_add(Duration::MICROSECOND),
                Edge::Ceiling | Edge::Floor => floor,
            })
        }
    }
}

fn never() -> Expr {
    Expr::val(1).eq(2)
}

fn lower(text: Expr) -> Expr {
    Func::lower(text).into()
}

/// Where in `text` the first `part` is, from 1; 0 if nowhere. No pattern, so nothing in `part` needs escaping.
fn position(backend: DbBackend, text: Expr, part: Expr) -> Expr {
    let name = if backend == DbBackend::Postgres { "strpos" } else { "instr" };
    Func::cust(name).args([text, part]).into()
}

fn ends_with(text: Expr, part: Expr) -> Expr {
    let length = |it: Expr| Expr::from(Func::cust("length").arg(it));
    let from = length(text.clone()).sub(length(part.clone())).add(1);
    Expr::from(Func::cust("substr").args([text, from])).eq(part)
}
