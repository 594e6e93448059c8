//! What a seed must keep beyond its shape.

use std::collections::{BTreeMap, BTreeSet};

use crate::codegen::seed::{
    AuthConfig, Direction, Flow, OauthConfig, Provider, Seed, Status, Transport,
};

/// The longest description, in characters.
const SENTENCE: usize = 160;

/// Every fault of `seeds`, each with the name of its file.
pub(crate) fn faults(seeds: &[(String, Seed)]) -> Vec<String> {
    let mut faults = duplicates(seeds);
    faults.extend(misnamed(seeds));
    for (file, seed) in seeds {
        faults.extend(seed_faults(seed).into_iter().map(|fault| format!("{file}.yaml: {fault}")));
    }
    faults
}

/// Two files for one (provider, service, direction), or one slug for two services.
fn duplicates(seeds: &[(String, Seed)]) -> Vec<String> {
    let mut keys = BTreeMap::<(Provider, &str, Direction), &str>::new();
    let mut slugs = BTreeMap::<(&str, Direction), &str>::new();
    let mut faults = Vec::new();
    for (file, seed) in seeds {
        if let Some(other) = keys.insert((seed.provider, &seed.service_id, seed.direction), file) {
            faults.push(format!(
                "{file}.yaml: provider, service_id and direction are those of {other}.yaml; change one of them"
            ));
        }
        if let Some(slug) = &seed.slug
            && let Some(other) = slugs.insert((slug, seed.direction), file)
        {
            faults.push(format!(
                "{file}.yaml: slug `{slug}` is that of {other}.yaml; choose another"
            ));
        }
    }
    faults
}

/// A file is named for its service, then for what sets it apart from others of the same service.
fn misnamed(seeds: &[(String, Seed)]) -> Vec<String> {
    let mut providers = BTreeMap::<&str, BTreeSet<Provider>>::new();
    let mut directions = BTreeMap::<(&str, Provider), BTreeSet<Direction>>::new();
    for (_, seed) in seeds {
        providers.entry(&seed.service_id).or_default().insert(seed.provider);
        directions.entry((&seed.service_id, seed.provider)).or_default().insert(seed.direction);
    }
    let many = |count: Option<usize>| count.is_some_and(|it| it > 1);
    seeds
        .iter()
        .filter_map(|(file, seed)| {
            let mut name = seed.service_id.clone();
            if many(providers.get(seed.service_id.as_str()).map(BTreeSet::len)) {
                name = format!("{name}.{}", seed.provider);
            }
            if many(directions.get(&(seed.service_id.as_str(), seed.provider)).map(BTreeSet::len)) {
                name = format!("{name}.{}", seed.direction);
            }
            (*file != name).then(|| format!("{file}.yaml: rename it to {name}.yaml"))
        })
        .collect()
}

/// What is wrong with one seed by itself.
fn seed_faults(seed: &Seed) -> Vec<String> {
    let auth = seed.auth_config.clone().unwrap_or_default();
    let oauth = auth.oauth_config.clone().unwrap_or_default();
    let stated = text_faults(seed)
        .into_iter()
        .chain(transport_faults(seed, &auth))
        .chain(flow_faults(seed, &auth, &oauth))
        .filter(|(holds, _)| !holds)
        .map(|(_, fault)| fault.to_owned());
    let addresses =
        urls(seed, &auth, &oauth).filter(|(_, url)| !is_url(url)).map(|(field, url)| {
            format!("{field}: `{url}` is no https address, nor one of this machine")
        });
    stated.chain(addresses).collect()
}

/// A rule, whether it holds, and what is wrong when it does not.
type Rule = (bool, &'static str);

fn text_faults(seed: &Seed) -> Vec<Rule> {
    let sentence = &seed.description;
    let models: BTreeSet<_> = seed.supported_target_models.iter().collect();
    vec![
        (!seed.name.trim().is_empty(), "name is empty"),
        (is_key(&seed.service_id), "service_id is not made of letters, digits and hyphens"),
        (
            seed.slug.as_deref().is_none_or(is_slug),
            "slug is not made of a to z, digits and hyphens",
        ),
        (is_type_key(&seed.connector_type), "connector_type is not the key of a connector type"),
        (
            sentence.ends_with('.') && sentence.chars().count() <= SENTENCE,
            "description is not one sentence of at most 160 characters that ends with a full stop",
        ),
        (models.len() == seed.supported_target_models.len(), "a target model is listed twice"),
    ]
}

fn transport_faults(seed: &Seed, auth: &AuthConfig) -> Vec<Rule> {
    let (server, wire) = (auth.mcp_server_url.is_some(), auth.mcp_transport.is_some());
    match seed.transport {
        Transport::Mcp => vec![
            (seed.slug.is_some(), "transport is mcp, so slug is missing"),
            (server, "transport is mcp, so auth_config.mcp_server_url is missing"),
            (wire, "transport is mcp, so auth_config.mcp_transport is missing"),
        ],
        Transport::Api => vec![
            (seed.slug.is_none(), "slug belongs to transport mcp"),
            (!server, "auth_config.mcp_server_url belongs to transport mcp"),
            (!wire, "auth_config.mcp_transport belongs to transport mcp"),
        ],
    }
}

fn flow_faults(seed: &Seed, auth: &AuthConfig, oauth: &OauthConfig) -> Vec<Rule> {
    let scopes: BTreeSet<_> = oauth.scopes.iter().collect();
    let mut rules = vec![
        (scopes.len() == oauth.scopes.len(), "a scope is listed twice"),
        (!scopes.iter().any(|it| it.contains(char::is_whitespace)), "a scope contains a blank"),
    ];
    match seed.authorization_flow {
        Flow::OauthManual => rules.push((
            seed.status != Status::Available
                || oauth.authorization_endpoint.is_some() && oauth.token_endpoint.is_some(),
            "authorization_flow is oauth-manual, so auth_config.oauth_config lacks an endpoint",
        )),
        Flow::OauthDcr | Flow::OauthCimd => rules.push((
            auth.oauth_metadata_url.is_some() || auth.mcp_server_url.is_some(),
            "discovery has nowhere to start: auth_config.oauth_metadata_url is missing",
        )),
        Flow::ApiKey | Flow::ExternalApiKey | Flow::None | Flow::Redirect | Flow::Wsse => {}
    }
    if seed.authorization_flow == Flow::OauthCimd {
        rules.push((
            auth.cimd_supported == Some(true),
            "authorization_flow is oauth-cimd, so auth_config.cimd_supported must be true",
        ));
    }
    rules
}

/// Every field of `seed` that holds an address.
fn urls<'a>(
    seed: &'a Seed,
    auth: &'a AuthConfig,
    oauth: &'a OauthConfig,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    [
        ("docs_url", seed.docs_url.as_deref()),
        ("oauth_metadata_url", auth.oauth_metadata_url.as_deref()),
        ("authorization_endpoint", auth.authorization_endpoint.as_deref()),
        ("mcp_server_url", auth.mcp_server_url.as_deref()),
        ("token_test_url", auth.token_test_url.as_deref()),
        ("oauth_config.authorization_endpoint", oauth.authorization_endpoint.as_deref()),
        ("oauth_config.token_endpoint", oauth.token_endpoint.as_deref()),
        ("oauth_config.revocation_endpoint", oauth.revocation_endpoint.as_deref()),
        ("oauth_config.registration_endpoint", oauth.registration_endpoint.as_deref()),
    ]
    .into_iter()
    .filter_map(|(field, url)| Some((field, url?)))
}

/// An https address; `{name}` stands for a part that each activation fills in. What a team runs
/// itself may also be given as it is on the machine of whoever tries it.
fn is_url(url: &str) -> bool {
    if let Some(rest) = url.strip_prefix("http://localhost") {
        return rest.starts_with([':', '/']) && rest.chars().all(|c| c.is_ascii_graphic());
    }
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let Some(rest) = fill(rest) else { return false };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let label = |it: &str| {
        !it.is_empty()
            && !it.starts_with('-')
            && !it.ends_with('-')
            && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    host.contains('.')
        && host.split('.').all(label)
        && path.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c))
}

/// The text with its placeholders filled, or nothing when a brace has no partner.
fn fill(text: &str) -> Option<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        filled.push_str(before);
        filled.push('x');
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

fn is_slug(text: &str) -> bool {
    is_key(text) && !text.contains(|c: char| c.is_ascii_uppercase())
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_type_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(change: impl FnOnce(&mut Seed)) -> Seed {
        let text = "name: A\nprovider: well\ncategory_id: finance\nservice_id: a\nslug: a\n\
            status: available\ndirection: input\nauthorization_flow: oauth-dcr\ntransport: mcp\n\
            auth_config:\n  mcp_server_url: https://mcp.a.example/mcp\n  mcp_transport: sse\n\
            connector_type: mcp\ndescription: Reads a.\n";
        let mut seed: Seed = yaml_serde::from_str(text).unwrap();
        change(&mut seed);
        seed
    }

    fn check(change: impl FnOnce(&mut Seed)) -> Vec<String> {
        seed_faults(&seed(change))
    }

    #[test]
    fn a_good_seed_has_no_fault() {
        assert!(check(|_| {}).is_empty());
    }

    #[test]
    fn an_mcp_seed_has_a_slug_and_a_server() {
        assert_eq!(check(|it| it.slug = None), ["transport is mcp, so slug is missing"]);
        assert_eq!(check(|it| it.auth_config = None).len(), 3);
        assert_eq!(check(|it| it.transport = Transport::Api).len(), 3);
    }

    #[test]
    fn a_flow_has_what_it_needs_to_start() {
        assert_eq!(check(|it| it.authorization_flow = Flow::OauthManual).len(), 1);
        assert_eq!(check(|it| it.authorization_flow = Flow::OauthCimd).len(), 1);
    }

    #[test]
    fn a_description_is_one_sentence() {
        assert_eq!(check(|it| it.description = "Reads a".to_owned()).len(), 1);
    }

    #[test]
    fn addresses_are_https_with_named_gaps() {
        for good in [
            "https://a.example",
            "https://{shop}.a.example/v1/{id}.json?x=1",
            "https://a-b.example/c_d",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "http://a.example",
            "https://a",
            "https://a b.example",
            "https://{x.example",
            "https://-a.example",
            "https://a.example/<x>",
            "https://u@a.example/",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }

    #[test]
    fn a_key_and_a_slug_are_used_once() {
        let files = [("a".to_owned(), seed(|_| {})), ("b".to_owned(), seed(|_| {}))];
        assert_eq!(duplicates(&files).len(), 2);
    }

    #[test]
    fn a_file_is_named_for_its_service() {
        let twice = [
            ("a.well".to_owned(), seed(|_| {})),
            ("a".to_owned(), seed(|it| it.provider = Provider::Chift)),
        ];
        assert_eq!(misnamed(&twice), ["a.yaml: rename it to a.chift.yaml"]);
        let ways = [
            ("a.input".to_owned(), seed(|_| {})),
            ("a.output".to_owned(), seed(|it| it.direction = Direction::Output)),
        ];
        assert!(misnamed(&ways).is_empty());
    }

    #[test]
    fn an_unknown_field_or_word_is_no_seed() {
        let text = "name: A\nprovider: someone\n";
        assert!(yaml_serde::from_str::<Seed>(text).is_err());
    }
}
