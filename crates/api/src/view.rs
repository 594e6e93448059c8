//! What of the things a client wants to see: `include` and `fields[type]`.

use linkspan_domain::Code;

use crate::{
    include::{KINDS, Kind},
    problem::Failure,
    query::{ParameterName, Query, invalid, unknown},
    resource::{Relationship, Selection, Shown},
};

/// What of the things a client wants to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The relationships whose things come along.
    pub(crate) include: Vec<&'static Relationship>,
    fields: Vec<(&'static str, Selection)>,
}

impl View {
    /// Reads the parameters of an operation that shows one `R` and takes nothing else.
    pub(crate) fn of<R: Shown>(query: &Query) -> Result<Self, Failure> {
        let mut view = Self::default();
        for (name, value) in query.iter() {
            if !view.take::<R>(name, value)? {
                return Err(unknown(name));
            }
        }
        Ok(view)
    }

    /// Reads one parameter, if it is about the view.
    pub(crate) fn take<R: Shown>(&mut self, name: &str, value: &str) -> Result<bool, Failure> {
        match ParameterName::parse(name) {
            Some(ParameterName { family: "include", key: None, .. }) => {
                self.include = include::<R>(value)?;
                Ok(true)
            }
            Some(ParameterName { family: "fields", key: Some(kind), operator: None }) => {
                let kind = shown_with::<R>()
                    .find(|it| it.name == kind)
                    .ok_or_else(|| invalid(name, "no resource of that type is in this answer"))?;
                self.fields.push((kind.name, selection(kind, name, value)?));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// What of the things of a type is wanted.
    pub(crate) fn selection(&self, kind: &str) -> Selection {
        self.fields.iter().find(|it| it.0 == kind).map_or(Selection::ALL, |it| it.1)
    }

    /// Whether things that this relationship leads to come along.
    pub(crate) fn includes(&self, relationship: &str) -> bool {
        self.include.iter().any(|it| it.name == relationship)
    }

    /// Whether the relationship of `R` by that name is shown or included.
    pub(crate) fn needs<R: Shown>(&self, relationship: &str) -> bool {
        let index = R::RELATIONSHIPS.iter().position(|it| it.name == relationship);
        let selected =
            index.is_some_and(|at| self.selection(R::TYPE).has(R::ATTRIBUTES.len() + at));
        selected || self.includes(relationship)
    }

    /// The same fields of included things, but none included by them.
    pub(crate) fn without_includes(&self) -> Self {
        Self { include: Vec::new(), fields: self.fields.clone() }
    }
}

/// The kinds that an answer about `R` can have in it.
pub(crate) fn shown_with<R: Shown>() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| {
        kind.name == R::TYPE || R::RELATIONSHIPS.iter().any(|it| it.target == kind.name)
    })
}

fn include<R: Shown>(value: &str) -> Result<Vec<&'static Relationship>, Failure> {
    let mut included = Vec::new();
    for path in value.split(',').filter(|it| !it.is_empty()) {
        let found = R::RELATIONSHIPS.iter().find(|it| it.name == path);
        let found = found.ok_or_else(|| {
            let known: Vec<_> = R::RELATIONSHIPS.iter().map(|it| it.name).collect();
            let detail = if known.is_empty() {
                "nothing can be included here".to_owned()
            } else {
                format!("only these can be included: {}", known.join(", "))
            };
            Failure::new(Code::InvalidParameter, detail).in_parameter("include")
        })?;
        if !included.contains(&found) {
            included.push(found);
        }
    }
    Ok(included)
}

fn selection(kind: &Kind, parameter: &str, value: &str) -> Result<Selection, Failure> {
    let mut selection = Selection::NONE;
    for field in value.split(',').filter(|it| !it.is_empty()) {
        let index = kind.fields().position(|it| it == field).ok_or_else(|| {
            let known: Vec<_> = kind.fields().collect();
            invalid(parameter, format!("`{}` has these fields: {}", kind.name, known.join(", ")))
        })?;
        selection = selection.with(index);
    }
    Ok(selection)
}
