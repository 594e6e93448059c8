//! The shape of every source file.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    project::{self, Project},
    tidy::Fault,
};

/// The most lines that a file may have, not counting a test module at its end.
const LIMIT: usize = 500;

/// How the value of a secret is reached, in two parts so that this line is not one of the places.
const EXPOSURE: &str = concat!(".expose", "()");

/// The crates that hand a secret to the system it belongs to, and the domain, which splits secrets
/// off settings.
const EXPOSING: &[&str] = &[
    "linkspan-api",
    "linkspan",
    "linkspan-app",
    "linkspan-builtin",
    "linkspan-databases",
    "linkspan-domain",
    "linkspan-egress",
    "linkspan-engine",
    "linkspan-oauth",
    "linkspan-sdk",
    "linkspan-vault",
];

/// Every source file of the workspace that breaks the common form.
pub(crate) fn faults(project: &Project) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for package in &project.packages {
        for folder in ["src", "tests", "benches", "examples"] {
            for path in project::files(&package.folder().join(folder), "rs")? {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let place = project.relative(&path);
                let tests = folder != "src" || path.file_stem().is_some_and(|it| it == "tests");
                faults.extend(form_faults(&path, &text, &place));
                faults.extend(length_fault(&text, &place));
                if !tests && !EXPOSING.contains(&package.name.as_str()) {
                    faults.extend(exposures(&text, &place));
                }
            }
        }
    }
    Ok(faults)
}

fn form_faults(path: &Path, text: &str, place: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(Fault::new(
            place,
            "it does not say what it holds",
            "start it with one line of `//!`",
        ));
    }
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        faults.push(Fault::new(
            place,
            "`mod.rs` hides the module's name",
            "rename it to `<folder>.rs` beside the folder",
        ));
    }
    faults
}

fn length_fault(text: &str, place: &str) -> Option<Fault> {
    let length = product_code(text).count();
    (length > LIMIT).then(|| {
        Fault::new(
            place,
            format!("{length} lines, the limit is {LIMIT}, not counting a test module"),
            "split it into modules, each named for a noun",
        )
    })
}

/// Lines that hand out a secret's value.
fn exposures(text: &str, place: &str) -> Vec<Fault> {
    product_code(text)
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//") && line.contains(EXPOSURE))
        .map(|(index, _)| {
            Fault::new(
                format!("{place}:{}", index + 1),
                "a secret is exposed in a crate that must not see one",
                "pass the `Secret` on, or add the crate to EXPOSING in xtask/src/tidy/sources.rs",
            )
        })
        .collect()
}

/// The lines before the file's test module.
fn product_code(text: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod ")
    });
    let end = tests.unwrap_or(lines.len());
    lines.into_iter().take(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        let faults = form_faults(Path::new(path), text, path);
        faults.into_iter().chain(length_fault(text, path)).map(|it| it.wrong).collect()
    }

    #[test]
    fn a_file_says_what_it_holds() {
        assert!(check("a.rs", "//! Something.\n").is_empty());
        assert_eq!(check("a.rs", "use std::fs;\n"), ["it does not say what it holds"]);
    }

    #[test]
    fn no_file_is_called_mod() {
        assert_eq!(check("a/mod.rs", "//! A.\n"), ["`mod.rs` hides the module's name"]);
    }

    #[test]
    fn long_files_fail_and_long_test_modules_do_not() {
        let code = format!("//! A.\n{}", "let a = 1;\n".repeat(LIMIT));
        assert_eq!(
            check("a.rs", &code),
            ["501 lines, the limit is 500, not counting a test module"]
        );
        let tests = format!("//! A.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "// a\n".repeat(LIMIT));
        assert!(check("a.rs", &tests).is_empty());
        let early = format!("//! A.\n#[cfg(test)]\nuse b::C;\n{}", "let a = 1;\n".repeat(LIMIT));
        assert_eq!(check("a.rs", &early).len(), 1);
    }

    #[test]
    fn a_secret_is_exposed_in_code_only() {
        let text = "//! A.\n/// `x.expose()`\nlet a = secret.expose();\n#[cfg(test)]\nmod tests { a.expose(); }\n";
        let places: Vec<String> = exposures(text, "a.rs").into_iter().map(|it| it.place).collect();
        assert_eq!(places, ["a.rs:3"]);
    }
}
