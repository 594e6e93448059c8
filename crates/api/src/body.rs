//! Request bodies: size, depth, envelope, attributes.

use std::borrow::Cow;

use bytes::Bytes;
use linkspan_app::Patch;
use linkspan_domain::Code;
use poem::{Request, RequestBody, error::ReadBodyError};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, Registry};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    media_type::{JSON, JSON_API, check_content_type},
    problem::Failure,
    resource::{Attributes, Shown},
    schema::{inline, named, object, one_of, open_object},
};

/// How deep bodies may nest.
const DEPTH: usize = 64;

/// Something that a request body says.
pub(crate) trait Input: Sized + Send {
    /// What the OpenAPI document calls it. None: there is no body.
    const NAME: Option<&'static str>;
    /// Whether there must be a body.
    const REQUIRED: bool = true;

    /// Its shape.
    fn schema() -> MetaSchema;

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

/// A body without an envelope: for operations that are no writes of a resource. The envelope is understood, too.
pub(crate) struct Plain<B>(pub(crate) B);

/// What a [`Plain`] body says.
pub(crate) trait PlainBody: DeserializeOwned + Send {
    /// What the OpenAPI document calls it.
    const NAME: &'static str;
    /// The JSON:API type in the envelope, if there is one.
    const TYPE: &'static str;

    /// Its shape.
    fn schema() -> MetaSchema;
}

/// No body.
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
    let announced = request.header("Content-Length").and_then(|it| it.parse::<u64>().ok());
    if announced.is_some_and(|it| it > limit as u64) {
        return Err(too_large());
    }
    let broken = |_| Failure::new(Code::RequestMalformed, "the body did not arrive as a whole");
    let body = body.take().map_err(broken)?;
    body.into_bytes_limit(limit).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => too_large(),
        _ => Failure::new(Code::RequestMalformed, "the body did not arrive as a whole"),
    })
}

/// Reads a body of the shape of `I`.
pub(crate) fn parse<I: Input>(
    request: &Request,
    body: &[u8],
    id: Option<&str>,
) -> Result<I, Failure> {
    if !body.is_empty() && I::NAME.is_some() {
        check_content_type(request.headers())?;
        check_depth(body)?;
    }
    I::read(body, id)
}

/// The request body of an operation that takes `I`, for the OpenAPI document.
pub(crate) fn request_meta<I: Input>() -> Option<MetaRequest> {
    let content =
        |content_type| MetaMediaType { content_type, schema: named(I::NAME.unwrap_or_default()) };
    I::NAME.map(|_| MetaRequest {
        description: None,
        content: vec![content(JSON_API), content(JSON)],
        required: I::REQUIRED,
    })
}

/// Makes the shape of `I` known to the OpenAPI document.
pub(crate) fn register<I: Input>(registry: &mut Registry) {
    if let Some(name) = I::NAME {
        registry.create_schema::<I, _>(name.to_owned(), |_| I::schema());
    }
}

/// Refuses bodies that nest too deep, before anything is built of them.
fn check_depth(body: &[u8]) -> Result<(), Failure> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            let detail = format!("the body nests deeper than {DEPTH} levels");
            return Err(Failure::new(Code::TooLarge, detail));
        }
    }
    Ok(())
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

/// Reads `body` as a `T`. What the parser says is not repeated as it is: it quotes values.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut reader);
    let value = parsed.map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            Failure::new(Code::RequestMalformed, expectation(&inner)).at(pointer)
        } else {
            not_json(&inner)
        }
    })?;
    reader.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    Failure::new(
        Code::RequestMalformed,
        format!("the body is not JSON: see line {line}, column {column}"),
    )
}

/// Reads `attributes`, which stand at `place` in the body.
pub(crate) fn attributes<T: DeserializeOwned>(
    attributes: Map<String, Value>,
    place: &str,
) -> Result<T, Failure> {
    serde_path_to_error::deserialize(Value::Object(attributes)).map_err(|error| {
        let pointer = format!("{place}{}", pointer(error.path()));
        Failure::new(Code::Invalid, expectation(error.inner())).at(pointer)
    })
}

/// What the parser expected, without what it found.
fn expectation(error: &serde_json::Error) -> Cow<'static, str> {
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    if said.starts_with("missing field `") || said.starts_with("must be ") {
        return Cow::Owned(said.to_owned());
    }
    if said.starts_with("unknown field `") {
        return Cow::Borrowed("cannot be written, or does not exist");
    }
    match said.rsplit_once(", expected ") {
        Some((_, expected)) => Cow::Owned(format!("expected {expected}")),
        None => Cow::Borrowed("is not a value that fits here"),
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    path.iter().fold(String::new(), |mut pointer, segment| {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        pointer
    })
}

/// Takes the envelope off: what is left are the attributes, relationships among them. `identify` is given the identifier.
fn unwrap<W: Written>(
    body: &[u8],
    identify: impl FnOnce(Option<String>) -> Result<(), Failure>,
) -> Result<W, Failure> {
    let Envelope { data } = json(body)?;
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
    let place = format!("/data/relationships/{}", name.replace('~', "~0").replace('/', "~1"));
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
    const NAME: Option<&'static str> = Some(W::NAME);

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
    const NAME: Option<&'static str> = Some(W::NAME);

    fn schema() -> MetaSchema {
        envelope::<W>(true)
    }

    fn read(body: &[u8], path: Option<&str>) -> Result<Self, Failure> {
        let written = unwrap(body, |id| match (id, path) {
            (None, _) => {
                Err(Failure::new(Code::RequestMalformed, "missing field `id`").at("/data"))
            }
            (Some(id), Some(path)) if !path.eq_ignore_ascii_case(&id) => {
                let detail = "the identifier has to be the one in the path";
                Err(Failure::new(Code::TypeMismatch, detail).at("/data/id"))
            }
            (Some(_), _) => Ok(()),
        });
        written.map(Self)
    }
}

impl<B: PlainBody> Input for Plain<B> {
    const NAME: Option<&'static str> = Some(B::NAME);

    fn schema() -> MetaSchema {
        let data = vec![("type", inline(one_of(&[B::TYPE]))), ("attributes", inline(B::schema()))];
        let data = MetaSchema { additional_properties: None, ..object(data, &["type"]) };
        let envelope = object(vec![("data", inline(data))], &["data"]);
        MetaSchema { any_of: vec![inline(B::schema()), inline(envelope)], ..MetaSchema::ANY }
    }

    fn read(body: &[u8], _: Option<&str>) -> Result<Self, Failure> {
        let mut all: Map<String, Value> = json(body)?;
        let Some(data) = all.remove("data") else { return attributes(all, "").map(Self) };
        let mut data: Map<String, Value> = match data {
            Value::Object(data) => data,
            _ => return Err(Failure::new(Code::RequestMalformed, "expected an object").at("/data")),
        };
        if data.get("type").and_then(Value::as_str) != Some(B::TYPE) {
            let detail = format!("the type has to be `{}` here", B::TYPE);
            return Err(Failure::new(Code::TypeMismatch, detail).at("/data/type"));
        }
        match data.remove("attributes") {
            None => attributes(Map::new(), "/data/attributes").map(Self),
            Some(Value::Object(all)) => attributes(all, "/data/attributes").map(Self),
            Some(_) => {
                let detail = "expected an object";
                Err(Failure::new(Code::RequestMalformed, detail).at("/data/attributes"))
            }
        }
    }
}

impl<I: Input> Input for Maybe<I> {
    const NAME: Option<&'static str> = I::NAME;
    const REQUIRED: bool = false;

    fn schema() -> MetaSchema {
        I::schema()
    }

    fn read(body: &[u8], id: Option<&str>) -> Result<Self, Failure> {
        let is_there = !body.trim_ascii().is_empty();
        is_there.then(|| I::read(body, id)).transpose().map(Self)
    }
}

impl Input for Nothing {
    const NAME: Option<&'static str> = None;
    const REQUIRED: bool = false;

    fn schema() -> MetaSchema {
        open_object()
    }

    fn read(_: &[u8], _: Option<&str>) -> Result<Self, Failure> {
        Ok(Self)
    }
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
    MetaSchema { additional_properties: None, ..object(vec![("data", inline(data))], &["data"]) }
}

/// Reads a field that empties what it says `null` of.
pub(crate) fn patch<'de, D, T>(deserializer: D) -> Result<Patch<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    let value = Option::<T>::deserialize(deserializer)?;
    Ok(value.map_or(Patch::Clear, Patch::Set))
}

/// Reads a field that cannot be `null`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the failures matter")]
    struct Some {
        port: u16,
        name: linkspan_domain::Name,
    }

    fn refused(body: &str) -> String {
        let map: Map<String, Value> = serde_json::from_str(body).unwrap();
        let failure = attributes::<Some>(map, "/data/attributes").unwrap_err();
        let response = failure.render(crate::media_type::PROBLEM, "t");
        assert_eq!(response.status(), 422);
        format!("{failure:?}")
    }

    #[test]
    fn a_failure_says_what_was_expected_and_repeats_no_value() {
        let wrong = refused(r#"{"port": "sk_live_123, expected x", "name": "n"}"#);
        assert!(!wrong.contains("sk_live"), "{wrong}");
        assert!(
            wrong.contains("expected u16") && wrong.contains("/data/attributes/port"),
            "{wrong}"
        );
        assert!(refused(r#"{"name": "n"}"#).contains("missing field `port`"));
        assert!(refused(r#"{"port": 1, "name": ""}"#).contains("must be 1 to 200 characters"));
        assert!(!refused(r#"{"port": 1, "name": "n", "sk_live": 1}"#).contains("field `sk_live"));
    }

    #[test]
    fn deep_bodies_are_refused_and_brackets_in_texts_do_not_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check_depth(nested(DEPTH).as_bytes()).is_ok());
        assert!(check_depth(nested(DEPTH + 1).as_bytes()).is_err());
        let text = format!(r#"["{}\"{}"]"#, "[".repeat(100), "{".repeat(100));
        assert!(check_depth(text.as_bytes()).is_ok());
    }
}
