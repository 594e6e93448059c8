//! Request bodies: size, envelope, attributes.

mod json;
mod plain;

use bytes::Bytes;
use linkspan_domain::{Code, Condition};
use poem::{Request, RequestBody, error::ReadBodyError};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, Registry};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub(crate) use json::{patch, present, written_instant};
pub(crate) use plain::{Plain, PlainBody};

use self::json::{attributes, check, check_numbers, json};

/// Reading what stands somewhere in a body.
pub(crate) mod nested {
    pub(crate) use super::json::{attributes, json as read};
}

use crate::{
    context::Context,
    media_type::{JSON, JSON_API, check_content_type},
    problem::Failure,
    resource::{Attributes, Shown},
    schema::{inline, named, object, one_of, open_object},
};

/// Something that a request body says.
pub(crate) trait Input: Sized + Send {
    /// What the OpenAPI document calls it.
    const NAME: &'static str;
    /// Whether there must be a body.
    const REQUIRED: bool = true;

    /// Its shape.
    fn schema() -> MetaSchema;

    /// Whether `body` has no envelope, as bodies of this shape may.
    fn is_flat(_body: &[u8]) -> bool {
        false
    }

    /// Reads it. `id` is the identifier in the path, if the path names the thing itself.
    fn read(body: &[u8], id: Option<&str>) -> Result<Self, Failure>;
}

/// The attributes that a client writes.
pub(crate) trait Written: DeserializeOwned + Send {
    /// Of which kind of thing.
    type Of: Shown;
    /// What the OpenAPI document calls the body.
    const NAME: &'static str;
    /// Those that must be there.
    const REQUIRED: &'static [&'static str] = &[];
    /// Relationships that stand for attributes.
    const LINKS: &'static [Link] = &[];
    /// Whether it has a condition, whose numbers must keep their digits.
    const HAS_CONDITION: bool = false;

    /// A body, to begin from.
    fn example() -> Option<Value> {
        None
    }
}

/// A relationship that can be written, and the attribute that says the same.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// The relationship.
    pub(crate) name: &'static str,
    /// What it leads to.
    pub(crate) target: &'static str,
    /// The attribute: an identifier, or a list of them.
    pub(crate) attribute: &'static str,
}

/// The body that makes a thing.
pub(crate) struct New<W>(pub(crate) W);

/// The body that changes a thing.
pub(crate) struct Changed<W>(pub(crate) W);

/// A body that may be left out.
pub(crate) struct Maybe<I>(pub(crate) Option<I>);

/// A body that says nothing: none at all, an empty object, or the name of the resource.
pub(crate) struct Nothing;

/// Reads the body of a request, no larger than `limit` bytes.
pub(crate) async fn receive(
    request: &Request,
    body: &mut RequestBody,
    limit: usize,
) -> Result<Bytes, Failure> {
    let too_large = || {
        Failure::new(
            Code::TooLarge,
            format!("the body is larger than the {limit} bytes that are taken here"),
        )
    };
    if announced(request).is_some_and(|it| it > limit as u64) {
        return Err(too_large());
    }
    let body = body.take().map_err(|_| broken())?;
    body.into_bytes_limit(limit).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => too_large(),
        _ => broken(),
    })
}

/// How many bytes the client means to send, if it says so.
pub(crate) fn announced(request: &Request) -> Option<u64> {
    request.header("Content-Length").and_then(|it| it.parse().ok())
}

/// Where attributes stand in an envelope. What is wrong with one is said to be below, whether or not there is an envelope:
/// the door knows.
pub(crate) const ATTRIBUTES: &str = "/data/attributes";

/// Reads a condition, which stands at `place` in the body.
pub(crate) fn condition(value: &Value, place: &str) -> Result<Condition, Failure> {
    Condition::parse(value).map_err(|error| {
        let place = format!("{place}{}", error.pointer());
        Failure::new(Code::InvalidCondition, error.to_string()).at(place)
    })
}

/// The client stopped sending.
pub(crate) fn broken() -> Failure {
    Failure::new(Code::RequestMalformed, "the body did not arrive as a whole")
}

/// Reads a body of the shape of `I`.
pub(crate) fn parse<I: Input>(
    request: &Request,
    body: &[u8],
    id: Option<&str>,
) -> Result<I, Failure> {
    if !body.is_empty() {
        check_content_type(request.headers())?;
        check(body)?;
    }
    if I::is_flat(body) {
        Context::of(request)?.takes_flat_body();
    }
    I::read(body, id)
}

/// The request body of an operation that takes `I`, for the OpenAPI document.
pub(crate) fn request_meta<I: Input>() -> MetaRequest {
    let content = |content_type| MetaMediaType { content_type, schema: named(I::NAME) };
    MetaRequest {
        description: None,
        content: vec![content(JSON_API), content(JSON)],
        required: I::REQUIRED,
    }
}

/// Makes the shape of `I` known to the OpenAPI document.
pub(crate) fn register<I: Input>(registry: &mut Registry) {
    registry.create_schema::<I, _>(I::NAME.to_owned(), |_| I::schema());
}

#[derive(Deserialize)]
struct Envelope {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    r#type: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    attributes: Option<Map<String, Value>>,
    #[serde(default)]
    relationships: Option<Map<String, Value>>,
}

/// Takes the envelope off: what is left are the attributes, relationships among them. `identify` is given the identifier.
fn unwrap<W: Written>(
    body: &[u8],
    identify: impl FnOnce(Option<String>) -> Result<(), Failure>,
) -> Result<W, Failure> {
    let Envelope { data } = json(body)?;
    if W::HAS_CONDITION {
        check_numbers(body)?;
    }
    let expected = W::Of::TYPE;
    if data.r#type != expected {
        let detail = format!("the type has to be `{expected}` here");
        return Err(Failure::new(Code::TypeMismatch, detail).at("/data/type"));
    }
    identify(data.id)?;
    let mut all = data.attributes.unwrap_or_default();
    for (name, relationship) in data.relationships.unwrap_or_default() {
        link::<W>(&mut all, &name, &relationship)?;
    }
    attributes(all, "/data/attributes")
}

/// Adds what a relationship says to the attributes.
fn link<W: Written>(
    attributes: &mut Map<String, Value>,
    name: &str,
    relationship: &Value,
) -> Result<(), Failure> {
    let place = format!("/data/relationships{}", member(name));
    let link = W::LINKS.iter().find(|it| it.name == name).ok_or_else(|| {
        Failure::new(Code::Invalid, "cannot be written, or does not exist").at(place.clone())
    })?;
    let malformed = || {
        let detail = "a relationship has `data`: null, an identifier with `type` and `id`, or a list of those";
        Failure::new(Code::RequestMalformed, detail).at(format!("{place}/data"))
    };
    let identifier = |it: &Value| {
        let kind = it.get("type").and_then(Value::as_str).ok_or_else(malformed)?;
        if kind != link.target {
            let detail = format!("the type has to be `{}` here", link.target);
            return Err(Failure::new(Code::TypeMismatch, detail).at(format!("{place}/data/type")));
        }
        it.get("id").filter(|it| it.is_string()).cloned().ok_or_else(malformed)
    };
    let value = match relationship.get("data").ok_or_else(malformed)? {
        Value::Null => Value::Null,
        Value::Array(items) => items.iter().map(identifier).collect::<Result<_, _>>()?,
        item => identifier(item)?,
    };
    match attributes.insert(link.attribute.to_owned(), value.clone()) {
        Some(other) if other != value => {
            let detail =
                format!("contradicts the attribute `{}`; give only one of the two", link.attribute);
            Err(Failure::new(Code::Invalid, detail).at(place))
        }
        _ => Ok(()),
    }
}

impl<W: Written> Input for New<W> {
    const NAME: &'static str = W::NAME;

    fn schema() -> MetaSchema {
        envelope::<W>(false)
    }

    fn read(body: &[u8], _: Option<&str>) -> Result<Self, Failure> {
        let written = unwrap(body, |id| match id {
            Some(_) => {
                let detail = "the server chooses the identifier; leave `id` out";
                Err(Failure::new(Code::ClientIdForbidden, detail).at("/data/id"))
            }
            None => Ok(()),
        });
        written.map(Self)
    }
}

impl<W: Written> Input for Changed<W> {
    const NAME: &'static str = W::NAME;

    fn schema() -> MetaSchema {
        envelope::<W>(true)
    }

    fn read(body: &[u8], path: Option<&str>) -> Result<Self, Failure> {
        let written = unwrap(body, |id| match (id, path) {
            (None, _) => Err(Failure::new(Code::RequestMalformed, "is required").at("/data/id")),
            (Some(id), Some(path)) if !path.eq_ignore_ascii_case(&id) => {
                let detail = "the identifier has to be the one in the path";
                Err(Failure::new(Code::TypeMismatch, detail).at("/data/id"))
            }
            (Some(_), _) => Ok(()),
        });
        written.map(Self)
    }
}

impl<I: Input> Input for Maybe<I> {
    const NAME: &'static str = I::NAME;
    const REQUIRED: bool = false;

    fn schema() -> MetaSchema {
        I::schema()
    }

    fn is_flat(body: &[u8]) -> bool {
        I::is_flat(body)
    }

    fn read(body: &[u8], id: Option<&str>) -> Result<Self, Failure> {
        let is_there = !body.trim_ascii().is_empty();
        is_there.then(|| I::read(body, id)).transpose().map(Self)
    }
}

impl Input for Nothing {
    const NAME: &'static str = "Nothing";
    const REQUIRED: bool = false;

    fn schema() -> MetaSchema {
        let about = "There is nothing to say: leave the body out, send an empty object, or name the resource.";
        let word = || inline(MetaSchema::new("string"));
        let resource = object(vec![("type", word()), ("id", word())], &[]);
        let properties = vec![("data", inline(resource))];
        MetaSchema { description: Some(about), ..object(properties, &[]) }
    }

    fn read(body: &[u8], _: Option<&str>) -> Result<Self, Failure> {
        if body.trim_ascii().is_empty() {
            return Ok(Self);
        }
        let members: Map<String, Value> = json(body)?;
        let names_resource = |data: &Value| {
            let names = |(name, it): (&String, &Value)| {
                matches!(name.as_str(), "type" | "id") && it.is_string()
            };
            data.as_object().is_some_and(|it| it.iter().all(names))
        };
        // Clients of JSON:API wrap whatever they send.
        let mut others = members.iter().filter(|(name, it)| *name != "data" || !names_resource(it));
        match others.next() {
            None => Ok(Self),
            Some((name, _)) => {
                let detail = "nothing is read here; leave the body out, send an empty object, or name the resource by its `type` and `id`";
                Err(Failure::new(Code::Invalid, detail).at(member(name)))
            }
        }
    }
}

/// Where the member `name` of a body stands, as a JSON pointer.
fn member(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The shape of `{ data: { type, id?, attributes, relationships? } }`.
fn envelope<W: Written>(has_id: bool) -> MetaSchema {
    let names = crate::schema::field_names::<W>();
    let mut attributes = W::Of::attributes_schema();
    attributes.properties.retain(|(name, _)| names.contains(name));
    attributes.required = W::REQUIRED.to_vec();

    let links = W::LINKS.iter().map(|link| {
        let known = W::Of::RELATIONSHIPS.iter().find(|it| it.name == link.name);
        let schema = known.map_or_else(open_object, crate::openapi::written_relationship);
        (link.name, inline(schema))
    });
    let mut properties = vec![("type", inline(one_of(&[W::Of::TYPE])))];
    let mut required = vec!["type"];
    if has_id {
        properties.push(("id", inline(MetaSchema::new("string"))));
        required.push("id");
    }
    if !W::REQUIRED.is_empty() {
        required.push("attributes");
    }
    properties.push(("attributes", inline(attributes)));
    if !W::LINKS.is_empty() {
        properties.push(("relationships", inline(object(links.collect(), &[]))));
    }
    let data = MetaSchema { additional_properties: None, ..object(properties, &required) };
    MetaSchema {
        additional_properties: None,
        example: W::example(),
        ..object(vec![("data", inline(data))], &["data"])
    }
}
