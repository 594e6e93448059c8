//! Reading a schema beside the settings it describes.

use std::{collections::BTreeSet, ptr};

use regex::Regex;
use serde_json::{Map, Value};

use super::{ConfigError, pointer::child};

type Node = Map<String, Value>;

/// All schemas that speak about one place in the settings: the place's own, those it refers to, and its variants.
#[derive(Clone)]
pub(super) struct Nodes<'s> {
    root: &'s Value,
    all: Vec<&'s Node>,
}

/// What a schema says about one key of an object.
pub(super) struct Property<'s> {
    pub(super) nodes: Nodes<'s>,
    /// Whether some schema names the key, rather than allowing any key.
    pub(super) is_named: bool,
}

impl<'s> Nodes<'s> {
    /// What `schema` says about the settings as a whole.
    pub(super) fn of(schema: &'s Value) -> Self {
        let mut it = Self { root: schema, all: Vec::new() };
        it.add(schema);
        it
    }

    pub(super) fn is_secret(&self) -> bool {
        self.all.iter().any(|it| it.get("secret") == Some(&Value::Bool(true)))
    }

    pub(super) fn property(&self, key: &str) -> Property<'s> {
        let mut it = Property { nodes: self.nowhere(), is_named: false };
        for node in &self.all {
            if let Some(schema) = object(node, "properties").and_then(|it| it.get(key)) {
                it.is_named = true;
                it.nodes.add(schema);
                continue;
            }
            let mut is_matched = false;
            for (pattern, schema) in object(node, "patternProperties").into_iter().flatten() {
                // A pattern in another dialect may match: better sealed than stored in the clear.
                if Regex::new(pattern).map_or(true, |it| it.is_match(key)) {
                    is_matched = true;
                    it.nodes.add(schema);
                }
            }
            if !is_matched {
                it.nodes.add_each(node, &FREE_KEYS);
            }
        }
        it
    }

    pub(super) fn item(&self, index: usize) -> Self {
        let mut it = self.nowhere();
        for node in &self.all {
            match node.get("prefixItems").and_then(|them| them.get(index)) {
                Some(schema) => it.add(schema),
                None => it.add_each(node, &FREE_ITEMS),
            }
        }
        it
    }

    /// Whether `patch` chooses another variant than `base` has: a property that is fixed in some variant differs.
    pub(super) fn is_other_variant(&self, base: &Node, patch: &Node) -> bool {
        let properties = self.all.iter().filter_map(|it| object(it, "properties")).flatten();
        properties
            .filter(|(_, schema)| {
                let choices = schema.get("enum").and_then(Value::as_array);
                schema.get("const").is_some() || choices.is_some_and(|it| it.len() == 1)
            })
            .any(|(tag, _)| match (base.get(tag), patch.get(tag)) {
                (Some(before), Some(after)) => before != after,
                (None, _) | (_, None) => false,
            })
    }

    /// Where secrets may stand, with `*` for any index or free key.
    pub(super) fn secret_pointers(&self, limit: usize) -> Result<BTreeSet<String>, ConfigError> {
        let mut found = BTreeSet::new();
        let mut left = limit;
        self.collect("", &[], &mut left, &mut found).ok_or(ConfigError::TooLarge { limit })?;
        Ok(found)
    }

    /// `trail` holds the schemas that lead here: one that leads to itself is not followed again.
    fn collect(
        &self,
        at: &str,
        trail: &[&'s Node],
        left: &mut usize,
        found: &mut BTreeSet<String>,
    ) -> Option<()> {
        *left = left.checked_sub(1)?;
        if self.is_secret() {
            found.insert(at.to_owned());
            return Some(());
        }
        let fresh = self.all.iter().filter(|it| !trail.iter().any(|seen| ptr::eq(*seen, **it)));
        let fresh = Self { root: self.root, all: fresh.copied().collect() };
        let trail = [trail, &fresh.all].concat();
        let named = fresh.all.iter().filter_map(|it| object(it, "properties")).flatten();
        for key in named.map(|(key, _)| key).collect::<BTreeSet<_>>() {
            fresh.property(key).nodes.collect(&child(at, key), &trail, left, found)?;
        }
        let mut any = self.nowhere();
        for node in &fresh.all {
            any.add_each(node, &FREE_KEYS);
            any.add_each(node, &FREE_ITEMS);
            let patterns = object(node, "patternProperties").into_iter().flatten();
            patterns.for_each(|(_, schema)| any.add(schema));
            let prefix = node.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
            prefix.for_each(|schema| any.add(schema));
        }
        if any.all.is_empty() {
            Some(())
        } else {
            any.collect(&child(at, "*"), &trail, left, found)
        }
    }

    const fn nowhere(&self) -> Self {
        Self { root: self.root, all: Vec::new() }
    }

    fn add_each(&mut self, node: &'s Node, keywords: &[&str]) {
        keywords.iter().filter_map(|it| node.get(*it)).for_each(|it| self.add(it));
    }

    fn add(&mut self, schema: &'s Value) {
        let Value::Object(node) = schema else { return };
        if self.all.iter().any(|it| ptr::eq(*it, node)) {
            return;
        }
        self.all.push(node);
        if let Some(target) = node.get("$ref").and_then(|it| resolve(self.root, it)) {
            self.add(target);
        }
        for variants in
            ["allOf", "anyOf", "oneOf"].iter().filter_map(|it| node.get(*it)?.as_array())
        {
            for variant in variants {
                self.add(variant);
            }
        }
        self.add_each(node, &["if", "then", "else"]);
        let dependent = object(node, "dependentSchemas").into_iter().flatten();
        dependent.for_each(|(_, schema)| self.add(schema));
    }
}

/// What speaks about keys that `properties` does not name.
const FREE_KEYS: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];

/// What speaks about items that `prefixItems` does not cover.
const FREE_ITEMS: [&str; 3] = ["items", "contains", "unevaluatedItems"];

fn object<'s>(node: &'s Node, keyword: &str) -> Option<&'s Node> {
    node.get(keyword)?.as_object()
}

fn resolve<'s>(root: &'s Value, reference: &Value) -> Option<&'s Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

/// Refuses references that lead out of `schema`: what is behind them could be secret.
pub(super) fn check_references(root: &Value, schema: &Value, at: &str) -> Result<(), ConfigError> {
    match schema {
        Value::Object(node) => node.iter().try_for_each(|(key, value)| {
            let pointer = child(at, key);
            let leads_nowhere = match key.as_str() {
                "$ref" if value.is_string() => resolve(root, value).is_none(),
                "$dynamicRef" => value.is_string(),
                // Values, not schemas.
                "const" | "default" | "enum" | "examples" => return Ok(()),
                _ => false,
            };
            if leads_nowhere {
                return Err(ConfigError::BrokenReference { pointer });
            }
            check_references(root, value, &pointer)
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, it)| check_references(root, it, &child(at, &index.to_string()))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
