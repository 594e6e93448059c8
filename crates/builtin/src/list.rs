//! The list of the built-in types.

use linkspan_sdk::Definition;

use crate::{core, file, notify};

/// Every built-in type, in the order of their keys.
pub fn all() -> Vec<Definition> {
    vec![
        Definition::of::<file::csv::Csv>(),
        Definition::of::<file::csv_url::CsvUrl>(),
        Definition::of::<core::delay::Delay>(),
        Definition::of::<core::http::Http>(),
        Definition::of::<file::parquet::Parquet>(),
        Definition::of::<file::s3_csv::S3Csv>(),
        Definition::of::<file::s3_storage::S3Storage>(),
        Definition::of::<notify::webhook::Webhook>(),
    ]
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use linkspan_domain::{AuthorizationFlow, Place};
    use linkspan_sdk::conformance;
    use serde_json::{Value, json};

    use super::all;

    /// The folders that hold one file per type.
    const FAMILIES: [&str; 3] = ["core", "file", "notify"];

    #[test]
    fn every_file_is_a_type_and_every_type_a_file() {
        let keys: Vec<_> =
            all().iter().map(|it| it.manifest.key.as_str().replace('-', "_")).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = FAMILIES.iter().flat_map(|family| fs::read_dir(folder.join(family)).unwrap());
        let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> =
            names.filter_map(|it| it.strip_suffix(".rs").map(str::to_owned)).collect();
        names.sort();
        assert_eq!(keys, names, "file names, keys and the list above must agree");
    }

    fn place(key: &str, settings: &Value) -> Place {
        let all = all();
        all.iter().find(|it| it.manifest.key.as_str() == key).unwrap().place(settings)
    }

    #[test]
    fn credentials_and_tuning_make_no_other_place() {
        let token = |it: &str| json!({ "base_url": "https://a.example", "auth": { "type": "bearer", "token": it } });
        let signed = |it: &str| json!({ "signed_url": format!("https://a.example/{it}") });
        let key = |it: &str| json!({ "bucket": "b", "prefix": "p/", "access_key_id": it, "secret_access_key": it });
        let secret = |it: &str, records: u32| json!({ "url": "https://a.example", "secret": format!("whsec_{}", it.repeat(32)), "records_per_message": records });
        for (kind, one, other) in [
            ("http", token("one-token"), token("other-token")),
            ("csv_url", signed("one-secret"), signed("other-secret")),
            ("s3_storage", key("one"), key("other")),
            ("webhook", secret("A", 5), secret("B", 6)),
            ("csv", json!({ "path": "a.csv" }), json!({ "path": "a.csv", "delimiter": ";" })),
        ] {
            let all = all();
            let definition = all.iter().find(|it| it.manifest.key.as_str() == kind).unwrap();
            let faults = |it| definition.faults(it, AuthorizationFlow::None);
            assert_eq!((faults(&one), faults(&other)), (Vec::new(), Vec::new()), "{kind}");
            assert_eq!(place(kind, &one), place(kind, &other), "{kind}");
        }
    }

    #[test]
    fn another_bucket_folder_or_file_is_another_place() {
        let base = json!({ "bucket": "b", "prefix": "p/" });
        for (name, value) in
            [("bucket", "c"), ("prefix", "q/"), ("endpoint", "https://minio.example.com")]
        {
            let mut other = base.clone();
            other[name] = value.into();
            for kind in ["s3_storage", "s3_csv"] {
                assert_ne!(place(kind, &base), place(kind, &other), "{kind} {name}");
            }
        }
        for (kind, name) in [("csv", "path"), ("parquet", "folder"), ("csv_url", "url")] {
            let at = |it: &str| place(kind, &json!({ name: it }));
            assert_ne!(at("https://a.example/a.csv"), at("https://a.example/b.csv"), "{kind}");
        }
    }

    #[test]
    fn every_manifest_is_sound() {
        // Names who asks, and proves nothing.
        let public = ["access_key_id"];
        for definition in all() {
            assert_eq!(conformance::of_manifest(&definition, &public), [""; 0], "{definition:?}");
        }
    }

    #[test]
    fn the_manifests_are_as_reviewed() {
        for definition in all() {
            let key = definition.manifest.key.to_string();
            insta::assert_json_snapshot!(key, &*definition.manifest);
        }
    }
}
