//! What a client wants of a list: filters, order, page.

use linkspan_domain::{Caller, Deleted, Filter, InvalidFilter, ListQuery, PageSize, Sort};

use crate::{
    cursor::Scope,
    problem::Failure,
    query::{ParameterName, Query, invalid, unknown},
    resource::Shown,
    view::View,
};

/// How many filters a list takes.
const FILTERS: usize = 50;
/// How many keys an order has.
const SORT_KEYS: usize = 8;

/// Reads the parameters of a list of `R`, as `caller` sees it.
pub(crate) fn parse<R: Shown>(
    query: &Query,
    caller: &Caller,
) -> Result<(ListQuery, View), Failure> {
    let mut list = ListQuery { sort: vec![R::ORDER], ..ListQuery::default() };
    let mut view = View::default();
    let (mut after, mut before) = (None, None);
    for (name, value) in query.iter() {
        if view.take::<R>(name, value)? {
            continue;
        }
        match ParameterName::parse(name) {
            Some(ParameterName { family: "filter", key: Some(key), operator }) => {
                list.filters.push(filter::<R>(name, key, operator.unwrap_or("eq"), value)?);
            }
            Some(ParameterName { family: "sort", key: None, .. }) => list.sort = sort::<R>(value)?,
            Some(ParameterName { family: "page", key: Some("size"), operator: None }) => {
                list.page.size = size(value)?;
            }
            Some(ParameterName { family: "page", key: Some("after"), operator: None }) => {
                after = Some(value);
            }
            Some(ParameterName { family: "page", key: Some("before"), operator: None }) => {
                before = Some(value);
            }
            Some(ParameterName { family: "include_deleted", key: None, .. }) => {
                list.deleted = deleted::<R>(value)?;
            }
            _ => return Err(unknown(name)),
        }
    }
    if list.filters.len() > FILTERS {
        return Err(invalid("filter", format!("no more than {FILTERS} filters are taken")));
    }
    // Only now is all known that cursors are bound to.
    let scope = Scope::new(R::TYPE, caller, &list);
    let open = |parameter, cursor: Option<&str>| {
        cursor.map(|it| scope.open(&list, parameter, it)).transpose()
    };
    let (after, before) = (open("page[after]", after)?, open("page[before]", before)?);
    (list.page.after, list.page.before) = (after, before);
    Ok((list, view))
}

/// Whether things of this kind can be soft-deleted.
pub(crate) fn can_be_deleted<R: Shown>() -> bool {
    R::LISTED.iter().any(|it| it.name == "deleted_at")
}

fn filter<R: Shown>(name: &str, key: &str, operator: &str, value: &str) -> Result<Filter, Failure> {
    let parsed = Filter::parse(R::LISTED, key, operator, value);
    parsed.map_err(|error| refused(name, &error))
}

fn sort<R: Shown>(value: &str) -> Result<Vec<Sort>, Failure> {
    let mut keys = Sort::parse(R::LISTED, value).map_err(|it| refused("sort", &it))?;
    // What is ordered by an attribute already cannot be ordered by it once more.
    let mut seen: Vec<&str> = Vec::new();
    keys.retain(|it| {
        let is_new = !seen.contains(&it.attribute.name);
        seen.push(it.attribute.name);
        is_new
    });
    if keys.len() > SORT_KEYS {
        return Err(invalid("sort", format!("no more than {SORT_KEYS} keys are taken")));
    }
    Ok(keys)
}

fn refused(parameter: &str, error: &InvalidFilter) -> Failure {
    let detail = match error {
        InvalidFilter::UnknownAttribute { known, .. } => {
            format!("there is no such attribute; known: {known}")
        }
        InvalidFilter::UnknownOperator { attribute, known, .. } => {
            format!("`{attribute}` takes these operators: {known}")
        }
        InvalidFilter::InvalidValue { .. } => error.to_string(),
    };
    invalid(parameter, detail)
}

/// Reads how many things a page has at most.
pub(crate) fn size(value: &str) -> Result<PageSize, Failure> {
    let size = value.parse().ok().and_then(PageSize::new);
    size.ok_or_else(|| invalid("page[size]", format!("a page has 1 to {} things", PageSize::MAX)))
}

fn deleted<R: Shown>(value: &str) -> Result<Deleted, Failure> {
    match value {
        "true" if can_be_deleted::<R>() => Ok(Deleted::Shown),
        "false" if can_be_deleted::<R>() => Ok(Deleted::Hidden),
        _ if can_be_deleted::<R>() => Err(invalid("include_deleted", "takes true or false")),
        _ => Err(unknown("include_deleted")),
    }
}
