//! Reading JSON from outside, without repeating what it says.

use std::borrow::Cow;

use linkspan_app::Patch;
use linkspan_domain::{Code, Decimal};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Number, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::problem::Failure;

/// How deep bodies may nest.
const DEPTH: usize = 64;

/// Refuses bodies that nest too deep or that have a NUL in a text, before anything is built of them.
pub(super) fn check(body: &[u8]) -> Result<(), Failure> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for (place, byte) in body.iter().enumerate() {
        match byte {
            // No text ever has one, and some databases cannot store it.
            b'u' if is_escaped && body[place..].starts_with(b"u0000") => {
                return Err(Failure::new(Code::Invalid, "a text of the body has a NUL in it"));
            }
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

/// Refuses a body with a number that loses digits when it is read, as those of 64 bits keep no more than 17.
pub(super) fn check_numbers(body: &[u8]) -> Result<(), Failure> {
    let (mut in_text, mut is_escaped, mut place) = (false, false, 0);
    while let Some(byte) = body.get(place) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'-' | b'0'..=b'9' if !in_text => {
                let rest = &body[place..];
                let is_part = |it: &u8| it.is_ascii_digit() || b"+-.eE".contains(it);
                let length = rest.iter().position(|it| !is_part(it)).unwrap_or(rest.len());
                if !is_kept(&rest[..length]) {
                    return Err(rounded(&body[..place]));
                }
                place += length;
                continue;
            }
            _ => {}
        }
        place += 1;
    }
    Ok(())
}

/// Whether `number` is the same after it was read. What is none is refused elsewhere.
fn is_kept(number: &[u8]) -> bool {
    let Ok(written) = std::str::from_utf8(number) else { return true };
    let Ok(read) = serde_json::from_str::<Number>(written) else { return true };
    Decimal::parse(written) == Decimal::parse(&read.to_string())
}

fn rounded(before: &[u8]) -> Failure {
    let line = before.split(|it| *it == b'\n').count();
    let column = before.iter().rev().take_while(|it| **it != b'\n').count() + 1;
    let detail = format!(
        "the number at line {line}, column {column} has more digits than can be kept; write it as a text, \
         which fields that hold decimals compare with exactly"
    );
    Failure::new(Code::RequestMalformed, detail)
}

/// Reads `body` as a `T`. What the parser says is not repeated as it is: it quotes values.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut reader);
    let value = parsed.map_err(|error| {
        if error.inner().is_data() {
            unexpected(Code::RequestMalformed, "", &error)
        } else {
            not_json(error.inner())
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
    serde_path_to_error::deserialize(Value::Object(attributes))
        .map_err(|error| unexpected(Code::Invalid, place, &error))
}

/// What is wrong with a member below `place`, pointed at. One that is not there is pointed at as if it were.
fn unexpected(
    code: Code,
    place: &str,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Failure {
    let pointer = format!("{place}{}", pointer(error.path()));
    let said = said(error.inner());
    match said.strip_prefix("missing field `").and_then(|it| it.strip_suffix('`')) {
        Some(name) => Failure::new(code, "is required").at(format!("{pointer}/{name}")),
        None => Failure::new(code, expectation(&said)).at(pointer),
    }
}

/// What the parser says, without the place in the text.
fn said(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.rsplit_once(" at line ").map_or(said.clone(), |(said, _)| said.to_owned())
}

/// What the parser expected, without what it found.
fn expectation(said: &str) -> Cow<'static, str> {
    if said.starts_with("must be ") {
        return Cow::Owned(said.to_owned());
    }
    if said.starts_with("unknown field `") {
        return Cow::Borrowed("cannot be written, or does not exist");
    }
    match said.rsplit_once(", expected ") {
        Some((_, expected)) => Cow::Owned(format!("must be {}", in_words(expected))),
        None => Cow::Borrowed("is not a value that fits here"),
    }
}

/// What the parser expects, without the names of types in Rust.
fn in_words(expected: &str) -> Cow<'static, str> {
    let whole =
        |least: u64, most: u64| Cow::Owned(format!("a whole number from {least} to {most}"));
    let (least, number) = match expected.strip_prefix("a nonzero ") {
        Some(number) => (1, number),
        None => (0, expected),
    };
    match number {
        "u8" => whole(least, u8::MAX.into()),
        "u16" => whole(least, u16::MAX.into()),
        "u32" => whole(least, u32::MAX.into()),
        "u64" | "usize" => Cow::Owned(format!("a whole number, {least} or more")),
        "i8" | "i16" | "i32" | "i64" | "isize" => Cow::Borrowed("a whole number"),
        "f32" | "f64" => Cow::Borrowed("a number"),
        "a boolean" | "a bool" => Cow::Borrowed("true or false"),
        "a string" | "a borrowed string" | "str" => Cow::Borrowed("a text"),
        "a character" => Cow::Borrowed("a text of one character"),
        "a sequence" | "an array" => Cow::Borrowed("a list"),
        "a map" => Cow::Borrowed("an object"),
        "unit" => Cow::Borrowed("null"),
        other if other.contains("enum ") => {
            Cow::Borrowed("one of the values that the schema of the body lists")
        }
        other if other.contains("struct ") => Cow::Borrowed("an object"),
        other => Cow::Owned(other.to_owned()),
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

/// Reads an instant, or none.
pub(crate) fn written_instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<OffsetDateTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| {
        D::Error::custom("must be an instant such as 2026-05-01T12:00:00Z, as RFC 3339 says")
    })?;
    Ok(Some(at))
}

/// Reads a field that empties what it says `null` of.
pub(crate) fn patch<'de, D, T>(deserializer: D) -> Result<Patch<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let value = Option::<T>::deserialize(deserializer)?;
    Ok(value.map_or(Patch::Clear, Patch::Set))
}

/// Reads a field that cannot be `null`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
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
            wrong.contains("must be a whole number from 0 to 65535")
                && wrong.contains("/data/attributes/port"),
            "{wrong}"
        );
        let missing = refused(r#"{"name": "n"}"#);
        assert!(missing.contains("is required"), "{missing}");
        assert!(missing.contains("\"/data/attributes/port\""), "{missing}");
        assert!(refused(r#"{"port": 1, "name": ""}"#).contains("must be 1 to 200 characters"));
        assert!(!refused(r#"{"port": 1, "name": "n", "sk_live": 1}"#).contains("field `sk_live"));
    }

    #[test]
    fn deep_bodies_are_refused_and_brackets_in_texts_do_not_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(nested(DEPTH).as_bytes()).is_ok());
        assert!(check(nested(DEPTH + 1).as_bytes()).is_err());
        let text = format!(r#"["{}\"{}"]"#, "[".repeat(100), "{".repeat(100));
        assert!(check(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_number_that_would_be_rounded_is_refused() {
        for number in [
            "12345678901234567890.12",
            "-9007199254740993.0",
            "0.1000000000000000000001",
            "18446744073709551616",
            "1e-400",
        ] {
            let body = format!("{{\"a\": 1,\n \"b\": [{number}]}}");
            let refused = format!("{:?}", check_numbers(body.as_bytes()).unwrap_err());
            assert!(refused.contains("line 2, column 8"), "{number}: {refused}");
        }
        for number in
            ["0.1", "-0", "1.50", "1E2", "18446744073709551615", "0.30000000000000004", "1e300"]
        {
            let body = format!("{{\"12345678901234567890.12\": {number}, \"b\": \"\\\"1e-400\"}}");
            assert!(check_numbers(body.as_bytes()).is_ok(), "{number}");
        }
    }

    #[test]
    fn a_text_with_a_nul_is_refused_wherever_it_stands() {
        for body in [r#"{"a": ["b\u0000"]}"#, r#"{"\u0000": 1}"#, r#"["\\\u0000"]"#] {
            assert!(format!("{:?}", check(body.as_bytes()).unwrap_err()).contains("NUL"), "{body}");
        }
        assert!(check(br#"["\\u0000", "\u00001", "\u0001"]"#).is_err(), "the second has one");
        assert!(check(br#"["\\u0000", "\u0001", "u0000"]"#).is_ok());
    }
}
