//! What settings promise, in examples and for settings at random.

use std::collections::BTreeMap;

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::{Just, Strategy, any, prop_oneof, proptest},
    prop_assert, prop_assert_eq,
};
use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value, json};

use super::{ConfigError, ConfigSchema, SplitConfig, join_config, looks_secret, masked_config};
use crate::{MASK, Secret};

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Settings {
    host: String,
    password: Option<Secret<String>>,
    token_url: Option<String>,
    primary_key: Option<String>,
    auth: Option<Auth>,
    headers: BTreeMap<String, Secret<String>>,
    keys: Vec<Key>,
    spare: Vec<Secret<String>>,
    #[schemars(extend("secret" = true))]
    service_account: Option<Value>,
    fallback: Option<Box<Settings>>,
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum Auth {
    Basic { username: String, password: Secret<String> },
    Bearer { token: Secret<String> },
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Key {
    name: String,
    value: Option<Secret<String>>,
}

fn schema() -> ConfigSchema {
    ConfigSchema::new(schema_for!(Settings).to_value()).unwrap()
}

fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("not an object") };
    map
}

fn split(config: Value) -> SplitConfig {
    schema().split(map(config)).unwrap()
}

/// The full settings after `patch`, with every secret in its place.
fn merged(stored: Value, patch: Value) -> Result<Value, ConfigError> {
    let it = schema().merge(&split(stored), map(patch))?;
    Ok(join_config(it.public, &it.secrets))
}

fn masked(it: &SplitConfig) -> Value {
    masked_config(&it.public, &it.secrets.pointers())
}

#[test]
fn the_schema_of_a_rust_type_says_where_its_secrets_are() {
    let it = schema();
    let pointers: Vec<_> = it.secret_pointers().iter().map(String::as_str).collect();
    assert_eq!(
        pointers,
        [
            "/auth/password",
            "/auth/token",
            "/headers/*",
            "/keys/*/value",
            "/password",
            "/service_account",
            "/spare/*"
        ]
    );
}

#[test]
fn secrets_leave_the_public_part_at_any_depth() {
    let it = split(json!({
        "host": "db", "password": "p", "token_url": "https://t", "primary_key": "id",
        "auth": { "type": "basic", "username": "u", "password": "q" },
        "headers": { "Authorization": "r", "a/b": "s" },
        "keys": [{ "name": "k", "value": "t" }, { "name": "l", "value": null }],
        "spare": ["v", "w"],
        "service_account": { "id": 1, "private_key": "x" },
        "fallback": { "host": "db2", "password": "y", "fallback": { "password": "z" } },
    }));
    assert_eq!(
        Value::Object(it.public),
        json!({
            "host": "db", "token_url": "https://t", "primary_key": "id",
            "auth": { "type": "basic", "username": "u" },
            "headers": {},
            "keys": [{ "name": "k" }, { "name": "l", "value": null }],
            "spare": [null, null],
            "fallback": { "host": "db2", "fallback": {} },
        })
    );
    let pointers: Vec<_> = it.secrets.pointers().into_iter().collect();
    assert_eq!(
        pointers,
        [
            "/auth/password",
            "/fallback/fallback/password",
            "/fallback/password",
            "/headers/Authorization",
            "/headers/a~1b",
            "/keys/0/value",
            "/password",
            "/service_account",
            "/spare/0",
            "/spare/1"
        ]
    );
    assert_eq!(
        it.secrets.get("/service_account").unwrap().expose(),
        r#"{"id":1,"private_key":"x"}"#
    );
}

#[test]
fn a_read_shows_masks_where_secrets_are_set_and_nowhere_else() {
    let it = split(json!({
        "host": "db", "password": null, "service_account": { "a": 1 }, "spare": ["v", null],
        "auth": { "type": "bearer", "token": "t" },
    }));
    assert_eq!(
        masked(&it),
        json!({
            "host": "db", "password": null, "service_account": MASK, "spare": [MASK, null],
            "auth": { "type": "bearer", "token": MASK },
        })
    );
}

#[test]
fn a_key_that_looks_secret_but_is_unknown_is_refused_by_its_place_alone() {
    for (config, pointer) in [
        (json!({ "api_key": "hunter22" }), "/api_key"),
        (json!({ "passwort": 1, "db": { "Password": "hunter22" } }), "/db/Password"),
        (json!({ "auth": { "type": "basic", "clientSecret": "hunter22" } }), "/auth/clientSecret"),
        (json!({ "keys": [{}, { "accessKey": ["hunter22"] }] }), "/keys/1/accessKey"),
        (json!({ "host": { "a/b": [{ "token": 7 }] } }), "/host/a~1b/0/token"),
    ] {
        let error = schema().split(map(config)).unwrap_err();
        assert_eq!(error, ConfigError::UnknownSecret { pointer: pointer.to_owned() });
        assert!(!format!("{error} {error:?}").contains("hunter22"));
    }
}

#[test]
fn keys_that_the_schema_only_allows_are_not_known() {
    let free = json!({ "properties": { "params": {
        "additionalProperties": { "type": "string" },
        "patternProperties": { "^x_": { "secret": true } },
    }}});
    let schema = ConfigSchema::new(free).unwrap();
    let it = schema.split(map(json!({ "params": { "x_token": "a", "y": "b" } }))).unwrap();
    assert_eq!(it.public, map(json!({ "params": { "y": "b" } })));
    let error = schema.split(map(json!({ "params": { "y_token": "a" } }))).unwrap_err();
    assert_eq!(error, ConfigError::UnknownSecret { pointer: "/params/y_token".to_owned() });
}

#[test]
fn a_new_secret_cannot_be_a_mask() {
    for (config, pointer) in [
        (json!({ "password": "••••" }), "/password"),
        (json!({ "auth": { "type": "bearer", "token": MASK } }), "/auth/token"),
        (json!({ "keys": [{ "name": "k", "value": MASK }] }), "/keys/0/value"),
        (json!({ "service_account": MASK }), "/service_account"),
    ] {
        let error = schema().split(map(config)).unwrap_err();
        assert_eq!(error, ConfigError::NothingStored { pointer: pointer.to_owned() });
    }
    assert_eq!(split(json!({ "host": MASK })).public["host"], MASK);
}

#[test]
fn a_patch_keeps_what_it_leaves_out_and_clears_what_it_nulls() {
    let stored = json!({ "host": "db", "password": "p", "headers": { "a": "x", "b": "y" } });
    for (patch, expected) in [
        (json!({}), stored.clone()),
        (
            json!({ "host": "db2" }),
            json!({ "host": "db2", "password": "p", "headers": { "a": "x", "b": "y" } }),
        ),
        (json!({ "password": null, "headers": null, "spare": null }), json!({ "host": "db" })),
        (
            json!({ "password": "q", "headers": { "a": null, "b": "••••", "c": "z" } }),
            json!({ "host": "db", "password": "q", "headers": { "b": "y", "c": "z" } }),
        ),
        (
            json!({ "service_account": { "id": 2, "x": null } }),
            json!({
                "host": "db", "password": "p", "headers": { "a": "x", "b": "y" },
                "service_account": { "id": 2, "x": null },
            }),
        ),
    ] {
        assert_eq!(merged(stored.clone(), patch), Ok(expected));
    }
}

#[test]
fn a_mask_in_a_patch_needs_something_to_keep() {
    let stored = json!({ "host": "db", "keys": [{ "name": "k", "value": "x" }] });
    for (patch, pointer) in [
        (json!({ "password": MASK }), "/password"),
        (json!({ "headers": { "a": MASK } }), "/headers/a"),
        (json!({ "keys": [{ "name": "other", "value": MASK }] }), "/keys/0/value"),
    ] {
        let error = merged(stored.clone(), patch).unwrap_err();
        assert_eq!(error, ConfigError::NothingStored { pointer: pointer.to_owned() });
    }
}

#[test]
fn another_variant_starts_afresh() {
    let stored = json!({ "auth": { "type": "basic", "username": "u", "password": "p" } });
    let patch = json!({ "auth": { "type": "bearer", "token": "t" } });
    assert_eq!(merged(stored.clone(), patch.clone()), Ok(patch));
    let patch = json!({ "auth": { "type": "basic", "username": "v" } });
    let expected = json!({ "auth": { "type": "basic", "username": "v", "password": "p" } });
    assert_eq!(merged(stored, patch), Ok(expected));
}

#[test]
fn an_element_takes_its_secret_along() {
    let key = |name: &str, value: &str| json!({ "name": name, "value": value });
    let stored = json!({ "keys": [key("a", "x"), key("b", "y"), key("c", "z")] });
    let patch = json!({ "keys": [{ "value": MASK, "name": "c" }, key("b", "new"), key("d", "w")] });
    let expected = json!({ "keys": [key("c", "z"), key("b", "new"), key("d", "w")] });
    assert_eq!(merged(stored, patch), Ok(expected));
}

#[test]
fn elements_that_cannot_be_told_apart_keep_their_places_or_nothing() {
    let stored = json!({ "spare": ["x", "y"] });
    let expected = json!({ "spare": ["new", "y"] });
    assert_eq!(merged(stored.clone(), json!({ "spare": ["new", MASK] })), Ok(expected));
    let error = merged(stored, json!({ "spare": [MASK] })).unwrap_err();
    assert_eq!(error, ConfigError::NothingStored { pointer: "/spare/0".to_owned() });
}

#[test]
fn what_is_sealed_stays_sealed_when_the_schema_forgets_it() {
    let stored = split(json!({ "host": "db", "password": "p" }));
    let forgetful =
        ConfigSchema::new(json!({ "properties": { "password": { "type": "string" } } })).unwrap();
    for patch in [json!({ "host": "db2" }), json!({ "password": MASK }), json!({ "password": "q" })]
    {
        let it = forgetful.merge(&stored, map(patch)).unwrap();
        assert!(!it.public.contains_key("password"));
        assert_eq!(it.secrets.len(), 1);
    }
}

#[test]
fn a_schema_that_could_hide_a_secret_is_refused() {
    for (schema, error) in [
        (json!(true), ConfigError::NotASchema),
        (
            json!({ "properties": { "a": { "$ref": "https://example.com/schema" } } }),
            ConfigError::BrokenReference { pointer: "/properties/a/$ref".to_owned() },
        ),
        (
            json!({ "anyOf": [{ "$ref": "#/$defs/gone" }] }),
            ConfigError::BrokenReference { pointer: "/anyOf/0/$ref".to_owned() },
        ),
    ] {
        assert_eq!(ConfigSchema::new(schema), Err(error));
    }
}

#[test]
fn a_schema_that_unfolds_without_end_is_refused() {
    let both = |it: usize| {
        let next = json!({ "$ref": format!("#/$defs/{}", it + 1) });
        (it.to_string(), json!({ "properties": { "a": next, "b": next } }))
    };
    let mut defs: Map<_, _> = (0..40).map(both).collect();
    defs.insert("40".to_owned(), json!({ "secret": true }));
    let schema = json!({ "$ref": "#/$defs/0", "$defs": defs });
    assert_eq!(ConfigSchema::new(schema), Err(ConfigError::TooLarge { limit: 10_000 }));
}

#[test]
fn a_schema_reads_back_as_it_was_written() {
    let it = schema();
    let text = serde_json::to_string(&it).unwrap();
    assert_eq!(text, it.as_value().to_string());
    assert_eq!(serde_json::from_str::<ConfigSchema>(&text).unwrap(), it);
    assert!(serde_json::from_str::<ConfigSchema>("[]").is_err());
}

/// No public text at random contains it: they are in lower case.
const MARK: &str = "S3CR3T";

fn secret() -> impl Strategy<Value = Value> {
    "[ -~é\n]{0,9}".prop_map(|it| Value::from(format!("{MARK}{it}")))
}

fn public() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i16>().prop_map(|it| Value::from(f64::from(it) / 4.0)),
        "[a-z •]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(harmless_key(), inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn harmless_key() -> impl Strategy<Value = String> {
    "[a-z~/ .é]{0,5}".prop_filter("looks secret", |it| !looks_secret(it))
}

fn auth() -> impl Strategy<Value = Value> {
    prop_oneof![
        (public(), secret())
            .prop_map(|(name, it)| json!({ "type": "basic", "username": name, "password": it })),
        secret().prop_map(|it| json!({ "type": "bearer", "token": it })),
    ]
}

fn key() -> impl Strategy<Value = Value> {
    let value = prop_oneof![Just(Value::Null), secret()];
    (option::of("[ab]"), option::of(value)).prop_map(|(name, value)| {
        let mut key = Map::new();
        name.map(|it| key.insert("name".to_owned(), it.into()));
        value.map(|it| key.insert("value".to_owned(), it));
        key.into()
    })
}

/// Settings at random: known and unknown, right and wrong, but without masks and keys to refuse.
fn config() -> impl Strategy<Value = Map<String, Value>> {
    let password = prop_oneof![Just(Value::Null), Just(json!(1234)), secret()];
    let account =
        (secret(), public()).prop_map(|(it, id)| json!({ "id": id, "token": [it, null] }));
    let known = (
        option::of(public().prop_map(|it| ("host", it))),
        option::of(password.prop_map(|it| ("password", it))),
        option::of(public().prop_map(|it| ("token_url", it))),
        option::of(auth().prop_map(|it| ("auth", it))),
        option::of(btree_map(".{0,5}", secret(), 0..3).prop_map(|it| ("headers", json!(it)))),
        option::of(vec(key(), 0..4).prop_map(|it| ("keys", json!(it)))),
        option::of(vec(secret(), 0..3).prop_map(|it| ("spare", json!(it)))),
        option::of(account.prop_map(|it| ("service_account", it))),
    );
    let known = known.prop_map(|it| {
        let all = [it.0, it.1, it.2, it.3, it.4, it.5, it.6, it.7];
        all.into_iter().flatten().map(|(key, it)| (key.to_owned(), it)).collect::<Map<_, _>>()
    });
    let unknown = btree_map(harmless_key(), public(), 0..3);
    (known, unknown, option::of(secret())).prop_map(|(mut known, unknown, below)| {
        known.extend(unknown);
        below.map(|it| known.insert("fallback".to_owned(), json!({ "host": "h", "password": it })));
        known
    })
}

/// The same settings, said without `null`: in a patch it clears.
fn without_nulls(config: Map<String, Value>) -> Map<String, Value> {
    let said = config.into_iter().filter(|(_, it)| !it.is_null());
    said.map(|(key, it)| match it {
        Value::Object(inner) if key != "service_account" => (key, without_nulls(inner).into()),
        other => (key, other),
    })
    .collect()
}

proptest! {
    #[test]
    fn splitting_and_joining_changes_nothing(config in config()) {
        let it = schema().split(config.clone()).unwrap();
        let sealed = super::Secrets::from_bytes(&it.secrets.to_bytes()).unwrap();
        prop_assert_eq!(&sealed, &it.secrets);
        prop_assert_eq!(join_config(it.public, &sealed), Value::Object(config));
    }

    #[test]
    fn no_secret_is_ever_shown(config in config()) {
        let it = schema().split(config).unwrap();
        let shown = format!("{} {:?} {:?}", masked(&it), it, it.secrets);
        prop_assert!(!shown.contains(MARK), "{}", shown);
    }

    #[test]
    fn writing_back_what_was_read_changes_nothing(config in config()) {
        let it = schema().split(without_nulls(config)).unwrap();
        let again = schema().merge(&it, map(masked(&it)));
        prop_assert_eq!(again, Ok(it));
    }

    #[test]
    fn no_patch_makes_a_secret_public(stored in config(), patch in config()) {
        let it = schema().merge(&schema().split(stored).unwrap(), patch).unwrap();
        prop_assert!(!Value::Object(it.public).to_string().contains(MARK));
    }
}
