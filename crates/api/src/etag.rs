//! Entity tags: the revision of a thing and the fingerprint of its representation.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use linkspan_domain::{Code, Revision};
use sha2::{Digest, Sha256};

use crate::problem::Failure;

/// The strong tag of `body`, the representation of a thing at `revision`: `"7-Xy3f…"`.
///
/// The first part is what writes are guarded with. The second tells representations apart that differ in their
/// fields, in what they include, or in what other things say of this one.
pub(crate) fn tag(revision: Revision, body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let mut tag = format!("\"{}-", revision.number());
    for byte in &digest[..8] {
        tag.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        tag.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    tag.push('"');
    tag
}

/// The tag of the same representation, sent compressed.
pub(crate) fn compressed(tag: &HeaderValue, encoding: &str) -> Option<HeaderValue> {
    let tag = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::from_str(&format!("{tag};{encoding}\"")).ok()
}

/// Whether the client already has what `tag` names, and so needs no body.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let bare = tag.trim_matches('"');
    tags(headers, &header::IF_NONE_MATCH).is_ok_and(|tags| {
        tags.iter().any(|it| match it {
            Tag::Any => true,
            // Weak comparison (RFC 9110 §8.8.3.2), and a compressed representation is as good.
            Tag::Weak(it) | Tag::Strong(it) => it.split(';').next() == Some(bare),
        })
    })
}

/// The revision at which a write expects a thing, from `If-Match`. None: whatever it is.
///
/// Tags that are not ours name no revision that a thing could have, so that the write ends as one that came too late.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Option<Revision>, Failure> {
    let tags = tags(headers, &header::IF_MATCH)?;
    if tags.is_empty() {
        // A client whose tag got lost on the way here meant to guard its write.
        let is_absent = !headers.contains_key(header::IF_MATCH);
        return if is_absent { Ok(None) } else { Err(malformed(&header::IF_MATCH)) };
    }
    if tags.contains(&Tag::Any) {
        return Ok(None);
    }
    let revisions = tags.iter().filter_map(|it| match it {
        Tag::Strong(tag) => tag.split('-').next()?.parse().ok(),
        Tag::Any | Tag::Weak(_) => None,
    });
    // Of several, the newest: revisions never go back.
    Ok(Some(Revision::from_number(revisions.max().unwrap_or(0))))
}

#[derive(Debug, PartialEq, Eq)]
enum Tag<'a> {
    Any,
    Weak(&'a str),
    Strong(&'a str),
}

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Vec<Tag<'a>>, Failure> {
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| malformed(name))?;
        for item in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            tags.push(one(item).ok_or_else(|| malformed(name))?);
        }
    }
    Ok(tags)
}

fn one(item: &str) -> Option<Tag<'_>> {
    let quoted = |text: &'_ str| text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
    match item.strip_prefix("W/") {
        Some(weak) if quoted(weak) => Some(Tag::Weak(&weak[1..weak.len() - 1])),
        None if item == "*" => Some(Tag::Any),
        None if quoted(item) => Some(Tag::Strong(&item[1..item.len() - 1])),
        _ => None,
    }
}

fn malformed(name: &HeaderName) -> Failure {
    let header = if *name == header::IF_MATCH { "If-Match" } else { "If-None-Match" };
    Failure::new(
        Code::InvalidHeader,
        "give `*`, or the `ETag` of an earlier answer with its quotes",
    )
    .in_header(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn a_write_expects_the_newest_revision_it_names() {
        for (value, revision) in [
            ("*", None),
            ("\"7-00ff\"", Some(7)),
            ("\"7-00ff;gzip\"", Some(7)),
            ("\"7-00ff\", \"9-00ff\"", Some(9)),
            ("W/\"7-00ff\"", Some(0)),
            ("\"something else\"", Some(0)),
        ] {
            let expected = expected(&headers(header::IF_MATCH, value)).unwrap();
            assert_eq!(expected.map(Revision::number), revision, "{value}");
        }
        assert_eq!(expected(&HeaderMap::new()), Ok(None));
        for malformed in ["7", "", " , "] {
            assert!(expected(&headers(header::IF_MATCH, malformed)).is_err(), "{malformed}");
        }
    }

    #[test]
    fn a_client_that_has_it_gets_no_body() {
        let tag = tag(Revision::FIRST, b"{}");
        assert_eq!(tag, "\"1-44136fa355b3678a\"");
        for (value, known) in [
            ("\"1-44136fa355b3678a\"", true),
            ("W/\"1-44136fa355b3678a\"", true),
            ("\"1-44136fa355b3678a;gzip\"", true),
            ("\"0-x\", \"1-44136fa355b3678a\"", true),
            ("*", true),
            ("\"2-44136fa355b3678a\"", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_known(&headers(header::IF_NONE_MATCH, value), &tag), known, "{value}");
        }
    }
}
