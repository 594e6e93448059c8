//! Content negotiation, as JSON:API 1.1 wants it.

use http::{HeaderMap, header};
use linkspan_domain::Code;

use crate::problem::Failure;

/// The media type of JSON:API.
pub(crate) const JSON_API: &str = "application/vnd.api+json";
/// Plain JSON: the same documents for clients that know no JSON:API.
pub(crate) const JSON: &str = "application/json";
/// Problem details (RFC 9457): errors for clients that know no JSON:API.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// Which media types a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// What documents are sent as. None: the client takes no kind that there is.
    pub(crate) documents: Option<&'static str>,
    /// What errors are sent as.
    pub(crate) errors: &'static str,
}

/// How much a client wants each media type: the best `q` that speaks of it, in thousandths.
#[derive(Default)]
struct Wishes {
    json_api: Option<u16>,
    json: Option<u16>,
    problem: Option<u16>,
    anything: Option<u16>,
}

impl Accepted {
    /// What a client takes that says nothing about it.
    pub(crate) const ANYTHING: Self = Self { documents: Some(JSON_API), errors: JSON_API };

    /// Reads the `Accept` headers of a request.
    ///
    /// A range of the JSON:API type counts only if it has no parameters but `profile` (JSON:API 1.1 §5.3): no extension
    /// is supported here.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::ACCEPT).iter().peekable();
        if values.peek().is_none() {
            return Self::ANYTHING;
        }
        let mut wishes = Wishes::default();
        for value in values {
            for range in value.to_str().unwrap_or_default().split(',') {
                wishes.add(range);
            }
        }
        wishes.choose()
    }
}

impl Wishes {
    fn add(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let Some(name) = parts.next().filter(|it| !it.is_empty()) else { return };
        let mut quality = 1000;
        let mut only_profiles = true;
        for parameter in parts.filter(|it| !it.is_empty()) {
            match parameter.split_once('=') {
                Some((key, value)) if key.eq_ignore_ascii_case("q") => quality = thousandths(value),
                Some((key, _)) if key.eq_ignore_ascii_case("profile") => {}
                _ => only_profiles = false,
            }
        }
        let wish = match name.to_ascii_lowercase().as_str() {
            JSON_API if only_profiles => &mut self.json_api,
            JSON => &mut self.json,
            PROBLEM => &mut self.problem,
            "*/*" | "application/*" => &mut self.anything,
            _ => return,
        };
        *wish = (*wish).max(Some(quality));
    }

    fn choose(&self) -> Accepted {
        let json_api = self.json_api.or(self.anything).filter(|it| *it > 0);
        let json = self.json.or(self.anything).filter(|it| *it > 0);
        let documents = match (json_api, json) {
            (Some(ours), Some(plain)) if plain > ours => Some(JSON),
            (Some(_), _) => Some(JSON_API),
            (None, Some(_)) => Some(JSON),
            (None, None) => None,
        };
        let wants_problems = self.problem.is_some_and(|it| it > 0);
        let errors = match documents {
            Some(JSON_API) => JSON_API,
            _ if wants_problems => PROBLEM,
            Some(plain) => plain,
            None => JSON_API,
        };
        Accepted { documents, errors }
    }
}

/// `0.25` as 250. What cannot be read counts as 1, as if it were not there.
fn thousandths(quality: &str) -> u16 {
    let (whole, rest) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = rest.bytes().chain(std::iter::repeat(b'0')).take(3);
    let rest = digits.fold(0, |sum, it| sum * 10 + u16::from(it.wrapping_sub(b'0').min(9)));
    if whole.trim() == "0" { rest } else { 1000 }
}

/// Passes if the body of a request is JSON:API, or JSON of the same shape.
///
/// JSON:API bodies may have no parameter but `profile`, which is ignored; plain JSON may have any.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let mut parts = value.unwrap_or_default().split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    if name.eq_ignore_ascii_case(JSON) {
        return Ok(());
    }
    if !name.eq_ignore_ascii_case(JSON_API) {
        return Err(unsupported("send the body as application/vnd.api+json"));
    }
    for parameter in parts.filter(|it| !it.is_empty()) {
        let key = parameter.split_once('=').map_or(parameter, |(key, _)| key).trim_end();
        if key.eq_ignore_ascii_case("ext") {
            return Err(unsupported("no JSON:API extension is supported; leave `ext` out"));
        }
        if !key.eq_ignore_ascii_case("profile") {
            return Err(unsupported(
                "application/vnd.api+json takes no parameters but `ext` and `profile`",
            ));
        }
    }
    Ok(())
}

fn unsupported(detail: &'static str) -> Failure {
    Failure::new(Code::UnsupportedMediaType, detail).in_header("Content-Type")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accepted(accept: &str) -> (Option<&'static str>, &'static str) {
        let headers = [(header::ACCEPT, HeaderValue::from_str(accept).unwrap())];
        let it = Accepted::of(&headers.into_iter().collect());
        (it.documents, it.errors)
    }

    #[test]
    fn documents_come_as_the_client_wants_them() {
        for (accept, documents) in [
            ("*/*", Some(JSON_API)),
            ("application/vnd.api+json", Some(JSON_API)),
            ("application/json", Some(JSON)),
            ("application/json, application/vnd.api+json", Some(JSON_API)),
            ("application/json, application/vnd.api+json;q=0.5", Some(JSON)),
            ("application/vnd.api+json;profile=\"https://example.com/p\"", Some(JSON_API)),
            ("application/vnd.api+json;ext=\"https://jsonapi.org/ext/atomic\"", None),
            ("application/vnd.api+json;charset=utf-8", None),
            ("application/vnd.api+json;charset=utf-8, application/vnd.api+json", Some(JSON_API)),
            ("application/vnd.api+json;charset=utf-8, */*;q=0.1", Some(JSON_API)),
            ("text/html", None),
            ("text/html,*/*;q=0.8", Some(JSON_API)),
            ("application/vnd.api+json;q=0, */*", Some(JSON)),
            ("*/*;q=0", None),
        ] {
            assert_eq!(accepted(accept).0, documents, "{accept}");
        }
        assert_eq!(Accepted::of(&HeaderMap::new()), Accepted::ANYTHING);
    }

    #[test]
    fn errors_are_problem_details_for_who_takes_those_and_not_json_api() {
        for (accept, errors) in [
            ("*/*", JSON_API),
            ("application/problem+json", PROBLEM),
            ("application/json, application/problem+json", PROBLEM),
            ("application/vnd.api+json, application/problem+json", JSON_API),
            ("application/json", JSON),
            ("text/html", JSON_API),
        ] {
            assert_eq!(accepted(accept).1, errors, "{accept}");
        }
    }

    #[test]
    fn bodies_take_no_parameters_but_profiles() {
        for (content_type, fits) in [
            ("application/vnd.api+json", true),
            ("Application/VND.api+JSON", true),
            ("application/vnd.api+json; profile=\"https://example.com/p\"", true),
            ("application/vnd.api+json; charset=utf-8", false),
            ("application/vnd.api+json; ext=\"https://jsonapi.org/ext/atomic\"", false),
            ("application/json; charset=utf-8", true),
            ("text/plain", false),
            ("", false),
        ] {
            let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
            let checked = check_content_type(&headers.into_iter().collect());
            assert_eq!(checked.is_ok(), fits, "{content_type}");
        }
    }
}
