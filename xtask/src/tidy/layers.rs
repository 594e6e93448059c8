//! Who may depend on whom, and which crate may know which foreign world.

use crate::{
    project::{Dependency, Kind, Package, Project},
    tidy::Fault,
};

/// Every crate and what it may use of ours. An arrow that is missing here does not exist; a new
/// one is an architecture decision.
const LAYERS: &[(&str, &[&str])] = &[
    ("linkspan-domain", &[]),
    ("linkspan-sdk", &["domain"]),
    ("linkspan-builtin", &["domain", "sdk"]),
    ("linkspan-databases", &["domain", "sdk"]),
    ("linkspan-manifest", &["domain", "sdk"]),
    ("linkspan-script", &["domain", "sdk"]),
    ("linkspan-oas", &["domain", "sdk"]),
    ("linkspan-mcp", &["domain", "sdk"]),
    ("linkspan-process", &["domain", "sdk"]),
    ("linkspan-engine", &["domain", "sdk"]),
    ("linkspan-app", &["domain", "sdk", "engine"]),
    ("linkspan-persistence", &["domain", "sdk", "migration"]),
    ("linkspan-migration", &[]),
    ("linkspan-vault", &["domain"]),
    ("linkspan-oauth", &["domain"]),
    ("linkspan-egress", &["domain"]),
    ("linkspan-files", &["domain"]),
    ("linkspan-queue", &["domain"]),
    ("linkspan-api", &["domain", "sdk", "app"]),
    ("linkspan-console", &["domain", "app"]),
    ("linkspan-testkit", &["domain", "sdk"]),
    ("linkspan", ROOT),
    ("xtask", &[]),
];

/// The composition root sees everything but the testkit.
const ROOT: &[&str] = &[
    "domain",
    "sdk",
    "builtin",
    "databases",
    "manifest",
    "script",
    "oas",
    "mcp",
    "process",
    "engine",
    "app",
    "persistence",
    "migration",
    "vault",
    "oauth",
    "egress",
    "files",
    "queue",
    "api",
    "console",
];

/// The crate for tests, which no shipped code may use.
const TESTKIT: &str = "testkit";

/// Foreign crates with a home, and the crates that may know them. A name that ends in `*` stands
/// for a family.
const HOMES: &[(&str, &[&str])] = &[
    (
        "arrow*",
        &[
            "linkspan-sdk",
            "linkspan-builtin",
            "linkspan-databases",
            "linkspan-engine",
            "linkspan-persistence",
            "linkspan-testkit",
            "linkspan",
        ],
    ),
    ("async-nats", &["linkspan-queue"]),
    ("axum", &[]),
    ("clap", &["linkspan", "xtask"]),
    ("figment", &["linkspan"]),
    ("hyper*", &[]),
    ("jsonata*", &["linkspan-engine"]),
    ("minijinja*", &["linkspan-manifest"]),
    ("mongodb", &["linkspan-databases"]),
    ("mysql*", &["linkspan-databases"]),
    ("native-tls", &[]),
    ("oauth2", &["linkspan-oauth"]),
    ("opendal*", &["linkspan-builtin"]),
    ("openssl*", &[]),
    ("parquet", &["linkspan", "linkspan-builtin"]),
    ("poem*", &["linkspan-api"]),
    // The command line is a client of a running server.
    ("reqwest", &["linkspan-egress", "linkspan"]),
    ("ring", &["linkspan-vault"]),
    ("rmcp", &["linkspan-mcp"]),
    ("rquickjs*", &["linkspan-script"]),
    // It reads PEM, and encrypts nothing.
    ("rustls-pki-types", &["linkspan-vault"]),
    ("rustls*", &["linkspan-egress", "linkspan"]),
    ("schemars", &["linkspan-domain", "linkspan-sdk", "linkspan-builtin", "linkspan-databases"]),
    ("sea-orm", &["linkspan-persistence"]),
    ("sea-orm-migration", &["linkspan-persistence", "linkspan-migration"]),
    ("sqlx*", &["linkspan-persistence", "linkspan-databases", "linkspan-testkit"]),
    ("tiberius", &["linkspan-databases"]),
];

/// What tests may know beyond the homes: an eye on the result from outside, settings of a made-up
/// connector type.
const DEV_GUESTS: &[(&str, &[&str])] = &[
    // Whoever tests through the guarded client has to install what it encrypts with.
    ("rustls", &["linkspan-builtin", "linkspan-oauth"]),
    ("rmcp", &["linkspan-oauth"]),
    ("schemars", &["linkspan-api", "linkspan-app", "linkspan-engine"]),
    ("sqlx", &["linkspan", "linkspan-api"]),
];

/// What a pure crate must not even wait with: it has no I/O, no clock and no framework.
const IMPURE: &[&str] = &["tokio", "tokio-util", "tracing", "rand", "getrandom", "chrono"];

/// Every arrow of the workspace that the tables do not allow.
pub(crate) fn faults(project: &Project) -> Vec<Fault> {
    project
        .packages
        .iter()
        .flat_map(|package| package_faults(package, &project.relative(&package.manifest_path)))
        .collect()
}

fn package_faults(package: &Package, place: &str) -> Vec<Fault> {
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
        return vec![Fault::new(
            place,
            format!("`{}` has no layer", package.name),
            "add it to LAYERS in xtask/src/tidy/layers.rs and to docs/ARCHITECTURE.md",
        )];
    };
    package
        .dependencies
        .iter()
        .filter_map(|used| match used.name.strip_prefix("linkspan-") {
            Some(ours) => our_fault(package, ours, used.kind, allowed, place),
            None => foreign_fault(package, used, place),
        })
        .collect()
}

fn our_fault(
    package: &Package,
    ours: &str,
    kind: Option<Kind>,
    allowed: &[&str],
    place: &str,
) -> Option<Fault> {
    let in_tests = kind == Some(Kind::Dev);
    if ours == TESTKIT {
        return (!in_tests).then(|| {
            Fault::new(place, "the testkit is for tests", "move it to [dev-dependencies]")
        });
    }
    (!in_tests && !allowed.contains(&ours)).then(|| {
        Fault::new(
            place,
            format!("`{}` must not depend on `linkspan-{ours}`", package.name),
            "define a port in linkspan-domain and join the two in linkspan",
        )
    })
}

fn foreign_fault(package: &Package, used: &Dependency, place: &str) -> Option<Fault> {
    let name = used.name.as_str();
    let in_tests = used.kind == Some(Kind::Dev);
    if package.name == "linkspan-domain" && !in_tests && IMPURE.contains(&name) {
        return Some(Fault::new(
            place,
            format!("the domain is pure and must not depend on `{name}`"),
            "put the code behind a port",
        ));
    }
    let (_, homes) = HOMES.iter().find(|(family, _)| belongs(name, family))?;
    let at_home = homes.contains(&package.name.as_str());
    let guest = in_tests
        && DEV_GUESTS
            .iter()
            .any(|(world, crates)| *world == name && crates.contains(&package.name.as_str()));
    (!at_home && !guest).then(|| {
        let fix = match homes {
            [] => "use what the workspace already has for it".to_owned(),
            homes => format!("use it through a port that {} implements", homes.join(" or ")),
        };
        Fault::new(place, format!("`{}` must not depend on `{name}`", package.name), fix)
    })
}

fn belongs(name: &str, family: &str) -> bool {
    match family.strip_suffix('*') {
        Some(stem) => name
            .strip_prefix(stem)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_'])),
        None => name == family,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(package: &str, used: &str, kind: Option<Kind>) -> Vec<String> {
        let package = Package {
            name: package.to_owned(),
            manifest_path: "Cargo.toml".into(),
            dependencies: vec![Dependency { name: used.to_owned(), kind }],
        };
        package_faults(&package, "Cargo.toml").into_iter().map(|it| it.wrong).collect()
    }

    #[test]
    fn arrows_point_inwards() {
        assert!(check("linkspan-app", "linkspan-domain", None).is_empty());
        assert_eq!(
            check("linkspan-domain", "linkspan-sdk", None),
            ["`linkspan-domain` must not depend on `linkspan-sdk`"]
        );
        assert_eq!(check("linkspan-api", "linkspan-persistence", None).len(), 1);
        assert_eq!(check("linkspan-vault", "linkspan-domain", Some(Kind::Build)).len(), 0);
        assert_eq!(check("xtask", "linkspan-domain", None).len(), 1);
    }

    #[test]
    fn the_testkit_is_for_tests() {
        assert!(check("linkspan-app", "linkspan-testkit", Some(Kind::Dev)).is_empty());
        assert_eq!(check("linkspan-app", "linkspan-testkit", None), ["the testkit is for tests"]);
    }

    #[test]
    fn a_foreign_world_stays_at_home() {
        assert!(check("linkspan-api", "poem-openapi", None).is_empty());
        assert_eq!(check("linkspan", "poem", None).len(), 1);
        assert_eq!(check("linkspan-app", "arrow-array", None).len(), 1);
        assert_eq!(check("linkspan-api", "ring", Some(Kind::Dev)).len(), 1);
        assert!(check("linkspan-app", "serde", None).is_empty());
        assert!(check("linkspan-app", "ringbuffer", None).is_empty());
    }

    #[test]
    fn guests_come_for_tests_only() {
        assert!(check("linkspan", "sqlx", Some(Kind::Dev)).is_empty());
        assert_eq!(check("linkspan", "sqlx", None).len(), 1);
    }

    #[test]
    fn the_domain_is_pure() {
        assert_eq!(check("linkspan-domain", "tokio", None).len(), 1);
        assert!(check("linkspan-domain", "tokio", Some(Kind::Dev)).is_empty());
        assert!(check("linkspan-sdk", "tokio", None).is_empty());
    }

    #[test]
    fn a_crate_without_a_layer_is_a_fault() {
        assert_eq!(check("linkspan-new", "serde", None), ["`linkspan-new` has no layer"]);
    }
}
