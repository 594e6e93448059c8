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

    use linkspan_sdk::conformance;

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
