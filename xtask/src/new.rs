//! `cargo xtask new <key>`: the file of a new connector type.

use std::fs;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{project::Project, terminal::say};

/// The folder of the built-in types.
const HOME: &str = "crates/builtin/src";

/// What the file starts as: a type that works, to be made into the one that is wanted.
const TEMPLATE: &str = include_str!("new/template.txt");

/// Which type to start.
#[derive(Args)]
pub(crate) struct Options {
    /// Names the type for ever: a to z, 0 to 9, `_` and `-`
    key: String,

    /// What people call it; made from the key when left out
    #[arg(long)]
    title: Option<String>,

    /// The folder of its family, such as `file` or `notify`
    #[arg(long, default_value = "core")]
    family: String,
}

/// Writes the file and says what else to do.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let Options { key, family, .. } = options;
    ensure!(is_key(key), "`{key}` is no key: use a to z, 0 to 9, `_` and `-`, a letter first");
    let title = options.title.clone().unwrap_or_else(|| title(key));
    let module = key.replace('-', "_");
    let path = project.root.join(HOME).join(family).join(format!("{module}.rs"));
    let name = project.relative(&path);
    ensure!(!path.exists(), "{name} exists; choose another key");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let type_name = title_words(key).concat();
    fs::write(&path, render(key, &title)).with_context(|| format!("cannot write {name}"))?;
    say(format!(
        "{name} written. Next:\n\
         1. {HOME}/{family}.rs: `pub(crate) mod {module};`\n\
         2. {HOME}/list.rs, at its place by key: `Definition::of::<{family}::{module}::{type_name}>(),`\n\
         3. seeds/catalog/: the service that it serves, then `cargo xtask codegen`"
    ));
    Ok(())
}

fn render(key: &str, title: &str) -> String {
    TEMPLATE
        .replace("{{key}}", key)
        .replace("{{title}}", title)
        .replace("{{name}}", &title_words(key).concat())
}

fn title(key: &str) -> String {
    title_words(key).join(" ")
}

/// The words of a key, each with a capital.
fn title_words(key: &str) -> Vec<String> {
    key.split(['-', '_'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|it| it.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        })
        .collect()
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_names() {
        let file = render("acme-crm", &title("acme-crm"));
        assert!(file.contains("struct AcmeCrm;") && file.contains("\"Acme Crm\""), "{file}");
        assert!(!file.contains("{{"), "{file}");
    }

    #[test]
    fn a_key_is_plain() {
        assert!(is_key("acme_crm2") && !is_key("Acme") && !is_key("2acme") && !is_key("a/b"));
    }
}
