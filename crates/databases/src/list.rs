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
    use linkspan_domain::Place;
    use linkspan_sdk::conformance;
    use serde_json::{Value, json};

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

    fn place(key: &str, settings: &Value) -> Place {
        let all = super::all();
        all.iter().find(|it| it.manifest.key.as_str() == key).unwrap().place(settings)
    }

    #[test]
    fn a_database_is_the_same_place_whoever_logs_in_and_however() {
        for (key, scheme, port) in [("postgresql", "postgres", 5432), ("mysql", "mysql", 3306)] {
            let string = |text: &str| {
                place(key, &json!({ "connection_string": format!("{scheme}://{text}") }))
            };
            let one = string("ann:pa55word@db.example.com/crm");
            assert_eq!(one, string("bob:0ther@DB.example.com/crm?sslmode=require"), "{key}");
            assert_eq!(one, string(&format!("bob@db.example.com:{port}/crm")), "{key}");
            let fields = json!({
                "host": "db.example.com", "database": "crm", "username": "eve",
                "password": "s3cr3t", "pool_size": 2,
            });
            assert_eq!(one, place(key, &fields), "{key}");
            for other in ["db2.example.com/crm", "db.example.com:1/crm", "db.example.com/erp"] {
                assert_ne!(one, string(&format!("ann:pa55word@{other}")), "{key} {other}");
            }
        }
    }

    #[test]
    fn this_machine_is_one_place_under_each_of_its_names() {
        for (key, scheme) in [("postgresql", "postgres"), ("mysql", "mysql")] {
            let at = |host: &str| {
                place(key, &json!({ "connection_string": format!("{scheme}://ann@{host}/crm") }))
            };
            for name in ["LocalHost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
                assert_eq!(at("localhost"), at(name), "{key} {name}");
            }
            assert_ne!(at("localhost"), at("127.0.0.2"), "{key}: another server may listen there");
        }
    }

    #[test]
    fn a_database_is_the_same_place_for_all_types_that_reach_it() {
        for (keys, scheme) in [
            (&["postgresql", "postgres_identity"][..], "postgres"),
            (&["mysql", "mariadb", "mysql_identity"], "mysql"),
        ] {
            let at = |key: &str| {
                let string = format!("{scheme}://ann@db.example.com/crm");
                let mut settings = json!({ "connection_string": string });
                if key.ends_with("identity") {
                    settings["table"] = json!("crm.people");
                }
                place(key, &settings)
            };
            assert!(keys.iter().all(|it| at(it) == at(keys[0])), "{keys:?}");
        }
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(super::all().is_sorted_by_key(|it| it.manifest.key.to_string()));
    }
}
