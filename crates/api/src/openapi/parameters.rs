//! The parameters of operations.
//!
//! The registry has one parameter for each argument of a handler. Our arguments stand for many, so they give one whose
//! shape lists them, and [`expand`] puts those in its place.

use linkspan_domain::{
    Attribute, AttributeKind, ConnectorTypeKey, FileName, PageSize, StreamName, TargetModel,
};
use poem_openapi::registry::{
    MetaOperation, MetaOperationParam, MetaParamIn, MetaSchema, MetaSchemaRef,
};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::{
    answer::Answer,
    listing::can_be_deleted,
    resource::Shown,
    schema::{Schema, inline, one_of},
    view::shown_with,
};

/// The shape that lists parameters.
const MANY: &str = "parameters";

/// Where a parameter stands, at the front of the title of its shape.
const QUERY: &str = "query ";
const HEADER: &str = "header ";
const PATH: &str = "path ";
/// In the query, and it must be there.
const REQUIRED: &str = "required ";

/// One shape for all of them.
pub(crate) fn parameters(all: Vec<MetaSchemaRef>) -> MetaSchemaRef {
    inline(MetaSchema { title: Some(MANY.to_owned()), one_of: all, ..MetaSchema::ANY })
}

/// What a list takes.
pub(crate) fn list_parameters<R: Shown>() -> Vec<MetaSchemaRef> {
    let mut all = view_parameters::<R>();
    let names: Vec<_> = R::LISTED.iter().map(|it| it.name).collect();
    let about = "Keys to order by, most significant first; `-` turns one around.";
    let example = names.first().map(|it| format!("-{it}").into());
    let key = format!("-?({})", names.join("|"));
    let sort = MetaSchema {
        pattern: Some(format!("^{key}(,{key}){{0,7}}$")),
        example,
        ..String::schema()
    };
    all.push(parameter(QUERY, "sort", about, sort));
    all.extend([page_size(), page_after()]);
    let about = "Only what comes before this cursor.";
    all.push(parameter(QUERY, "page[before]", about, String::schema()));
    if can_be_deleted::<R>() {
        let about = "Whether deleted things are listed too.";
        all.push(parameter(QUERY, "include_deleted", about, bool::schema()));
    }
    all.extend(R::LISTED.iter().flat_map(filters));
    all
}

/// What going on in a sequence takes.
pub(crate) fn continuing_parameters(narrowing: Vec<MetaSchemaRef>) -> Vec<MetaSchemaRef> {
    let mut all = vec![page_size(), page_after()];
    all.extend(narrowing);
    all
}

/// What narrows sequences of entities down.
pub(crate) fn entity_choice_parameters() -> Vec<MetaSchemaRef> {
    let about = "Only what happens to entities that this activation brought in.";
    let activation = parameter(QUERY, "filter[workspace_connector_id]", about, Uuid::schema());
    let about = "Only what happens to entities of this model.";
    let model = parameter(QUERY, "filter[target_model]", about, TargetModel::schema());
    vec![activation, model]
}

/// What narrows sequences of records down.
pub(crate) fn record_choice_parameters() -> Vec<MetaSchemaRef> {
    let about = "Only what happens to records of this activation.";
    let activation = parameter(QUERY, "filter[workspace_connector_id]", about, Uuid::schema());
    let about = "Only what happens to records of streams of this name.";
    let stream = parameter(QUERY, "filter[stream]", about, StreamName::schema());
    vec![activation, stream]
}

/// What a question takes. It has no effect, so there is no second effect either.
pub(crate) fn querying_parameters() -> Vec<MetaSchemaRef> {
    vec![idempotency_key()]
}

/// What asking for access to a connector of the catalog takes.
pub(crate) fn access_parameters() -> Vec<MetaSchemaRef> {
    let about = "Where the person ends up. An operator allows where that may be.";
    let redirect_url = parameter(QUERY, "redirect_url", about, Url::schema());
    let state = parameter(QUERY, "state", "What goes with them there.", String::schema());
    vec![redirect_url, state]
}

fn page_size() -> MetaSchemaRef {
    let size = MetaSchema {
        minimum: Some(1.0),
        maximum: Some(f64::from(PageSize::MAX)),
        default: Some(PageSize::default().get().into()),
        ..MetaSchema::new("integer")
    };
    parameter(QUERY, "page[size]", "How many things a page has at most.", size)
}

fn page_after() -> MetaSchemaRef {
    parameter(QUERY, "page[after]", "Only what comes after this cursor.", String::schema())
}

/// What decides how a thing is shown.
pub(crate) fn view_parameters<R: Shown>() -> Vec<MetaSchemaRef> {
    let mut all = Vec::new();
    let names: Vec<_> = R::RELATIONSHIPS.iter().map(|it| it.name).collect();
    if !names.is_empty() {
        let about = "Relationships whose things come along, separated by commas.";
        all.push(parameter(QUERY, "include", about, words(&names)));
    }
    for kind in shown_with::<R>() {
        let fields: Vec<_> = kind.fields().collect();
        let about = "The attributes and relationships to show, separated by commas.";
        all.push(parameter(QUERY, &format!("fields[{}]", kind.name), about, words(&fields)));
    }
    all
}

/// What reading one thing takes.
pub(crate) fn reading_parameters<R: Shown>() -> Vec<MetaSchemaRef> {
    let mut all = vec![if_none_match()];
    all.extend(view_parameters::<R>());
    all
}

/// What reading something beside things takes.
pub(crate) fn asking_parameters() -> Vec<MetaSchemaRef> {
    vec![if_none_match()]
}

/// What following a thing takes.
pub(crate) fn following_parameters() -> Vec<MetaSchemaRef> {
    let about = "Taken and not needed: whoever comes back is told first how it is.";
    vec![parameter(HEADER, "Last-Event-ID", about, String::schema())]
}

/// What making a thing takes.
pub(crate) fn creating_parameters<A: Answer>() -> Vec<MetaSchemaRef> {
    let mut all = vec![idempotency_key()];
    all.extend(A::parameters());
    all
}

/// What uploading a file takes.
pub(crate) fn uploading_parameters<A: Answer>() -> Vec<MetaSchemaRef> {
    let mut all = creating_parameters::<A>();
    all.push(parameter(REQUIRED, "name", "What the file is called.", FileName::schema()));
    all
}

/// What changing a thing takes.
pub(crate) fn changing_parameters<R: Shown>() -> Vec<MetaSchemaRef> {
    let mut all = vec![if_match()];
    all.extend(view_parameters::<R>());
    all
}

/// What deleting a thing takes.
pub(crate) fn deleting_parameters() -> Vec<MetaSchemaRef> {
    vec![if_match()]
}

/// What doing something with a thing takes.
pub(crate) fn acting_parameters<A: Answer>() -> Vec<MetaSchemaRef> {
    let mut all = vec![if_match(), idempotency_key()];
    all.extend(A::parameters());
    all
}

fn parameter(place: &str, name: &str, about: &'static str, schema: MetaSchema) -> MetaSchemaRef {
    inline(MetaSchema { title: Some(format!("{place}{name}")), description: Some(about), ..schema })
}

fn if_match() -> MetaSchemaRef {
    let about =
        "The `ETag` of the representation that was read: refused with 412 if it changed meanwhile.";
    parameter(HEADER, "If-Match", about, entity_tags())
}

fn if_none_match() -> MetaSchemaRef {
    let about = "The `ETag` of the representation that is there already: answered with 304 if it is still the same.";
    // What cannot be read is no tag that the client could have, and does no harm (RFC 9110 §13.1.2).
    parameter(HEADER, "If-None-Match", about, String::schema())
}

fn entity_tags() -> MetaSchema {
    let tag = r#"(W/)?"[!#-+\--~]*""#;
    MetaSchema { pattern: Some(format!(r"^(\*|{tag}(, ?{tag}){{0,9}})$")), ..String::schema() }
}

fn idempotency_key() -> MetaSchemaRef {
    let about = "Names this request: sent again within 24 hours, it has no second effect.";
    let key = MetaSchema {
        pattern: Some("^[!-~]+$".to_owned()),
        min_length: Some(1),
        max_length: Some(255),
        ..String::schema()
    };
    parameter(HEADER, "Idempotency-Key", about, key)
}

fn words(words: &[&str]) -> MetaSchema {
    let word = format!("({})", words.join("|"));
    MetaSchema { pattern: Some(format!("^({word}(,{word})*)?$")), ..String::schema() }
}

/// `filter[name]` is equality; each other operator has a parameter of its own.
fn filters(attribute: &Attribute) -> Vec<MetaSchemaRef> {
    let operators = attribute.kind.operators().split(' ');
    let filter = |operator: &str| {
        let name = match operator {
            "eq" => format!("filter[{}]", attribute.name),
            other => format!("filter[{}][{other}]", attribute.name),
        };
        let (about, schema) = operand(operator, attribute.kind);
        parameter(QUERY, &name, about, schema)
    };
    operators.map(filter).collect()
}

fn operand(operator: &str, kind: AttributeKind) -> (&'static str, MetaSchema) {
    let value = match kind {
        AttributeKind::Text => String::schema(),
        AttributeKind::Id => Uuid::schema(),
        AttributeKind::Number => i64::schema(),
        AttributeKind::Date => OffsetDateTime::schema(),
        AttributeKind::Boolean => bool::schema(),
        AttributeKind::Enum(words) => one_of(words),
    };
    match operator {
        "eq" => ("Only those that have this value.", value),
        "neq" => ("Only those that have another value, or none.", value),
        "gt" => ("Only those with a greater value.", value),
        "gte" => ("Only those with this value or a greater one.", value),
        "lt" => ("Only those with a lesser value.", value),
        "lte" => ("Only those with this value or a lesser one.", value),
        "in" => ("Only those that have one of these values, separated by commas.", list_of(kind)),
        "is_null" => {
            ("Only those that have no value, or only those that have one.", bool::schema())
        }
        "starts_with" => ("Only those that start with this text.", value),
        "ends_with" => ("Only those that end with this text.", value),
        _ => ("Only those that contain this text.", value),
    }
}

fn list_of(kind: AttributeKind) -> MetaSchema {
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let word = match kind {
        AttributeKind::Enum(words) => format!("({})", words.join("|")),
        _ => uuid.to_owned(),
    };
    MetaSchema { pattern: Some(format!("^{word}(,{word}){{0,99}}$")), ..String::schema() }
}

/// Puts what the arguments stand for in their place, and adds what all operations take.
pub(super) fn expand(path: &str, operation: &mut MetaOperation) {
    let is_argument = |segment: &MetaOperationParam| {
        operation.params.iter().any(|it| it.in_type == segment.in_type && it.name == segment.name)
    };
    let segments = path.split('/').filter_map(named_segment);
    let mut expanded: Vec<_> = segments.filter(|it| !is_argument(it)).collect();
    for param in std::mem::take(&mut operation.params) {
        match &param.schema {
            MetaSchemaRef::Inline(schema) if schema.title.as_deref() == Some(MANY) => {
                expanded.extend(schema.one_of.iter().filter_map(one));
            }
            _ => expanded.push(param),
        }
    }
    operation.params = expanded;
}

fn named_segment(segment: &str) -> Option<MetaOperationParam> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let schema = match name {
        "id" | "history_id" => Uuid::schema(),
        "stream" => StreamName::schema(),
        _ => ConnectorTypeKey::schema(),
    };
    one(&parameter(PATH, name, "Which one.", schema))
}

fn one(schema: &MetaSchemaRef) -> Option<MetaOperationParam> {
    let MetaSchemaRef::Inline(schema) = schema else { return None };
    let mut schema = (**schema).clone();
    let title = schema.title.take()?;
    let (place, name) = title.split_once(' ')?;
    let description = schema.description.take().map(str::to_owned);
    let in_type = match place {
        "path" => MetaParamIn::Path,
        "header" => MetaParamIn::Header,
        _ => MetaParamIn::Query,
    };
    Some(MetaOperationParam {
        name: name.to_owned(),
        schema: inline(schema),
        in_type,
        description,
        required: matches!(place, "path" | "required"),
        deprecated: false,
        explode: true,
        style: None,
    })
}
