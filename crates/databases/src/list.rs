//! The list of the database types.

use linkspan_sdk::Definition;

use crate::{
    mariadb::Mariadb, mysql::Mysql, mysql_identity::MysqlIdentity,
    postgres_identity::PostgresIdentity, postgresql::Postgresql,
};

/// Every database type, in the order of their keys.
pub fn all() -> Vec<Definition> {
    vec![
        Definition::of::<Mariadb>(),
        Definition::of::<Mysql>(),
        Definition::of::<MysqlIdentity>(),
        Definition::of::<PostgresIdentity>(),
        Definition::of::<Postgresql>(),
    ]
}

#[cfg(test)]
mod tests {
    use linkspan_sdk::conformance;

    #[test]
    fn every_manifest_keeps_the_rules() {
        for definition in super::all() {
            assert_eq!(
                conformance::of_manifest(&definition, &[]),
                [""; 0],
                "{}",
                definition.manifest.key
            );
            insta::assert_json_snapshot!(definition.manifest.key.to_string(), definition.manifest);
        }
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(super::all().is_sorted_by_key(|it| it.manifest.key.to_string()));
    }
}
