//! What becomes of connections: where they may go, how they end, and what a login sees.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use linkspan_sdk::{Batch, Failure, HostGuard, Omission, Omitted, Permit, ReadRequest};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{PEOPLE, database, definition, environment, ids, read, settings};

/// Lets nothing through, or only to one address.
struct Strict(Result<Permit, &'static str>);

#[async_trait]
impl HostGuard for Strict {
    async fn permit(&self, _: &str, _: u16) -> Result<Permit, Failure> {
        self.0.clone().map_err(|it| Failure::Refused(it.to_owned()))
    }
}

#[tokio::test]
async fn a_connection_is_opened_only_where_the_guard_permits() {
    let database = database(PEOPLE).await;
    let mut environment = environment();
    environment.database_hosts = Arc::new(Strict(Err("not there")));
    let refused = definition("mysql").check(settings(&database), environment.clone()).await;
    assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");

    // The name leads nowhere: only the address that was permitted can have been dialled.
    let server = database.server().socket_addrs(|| Some(3306)).unwrap();
    environment.database_hosts = Arc::new(Strict(Ok(Permit::Pinned(server))));
    let mut settings = settings(&database);
    settings["host"] = json!("db.invalid");
    assert!(definition("mysql").check(settings.clone(), environment.clone()).await.is_ok());
    settings["sslmode"] = json!("verify-full");
    let refused = definition("mysql").check(settings, environment).await;
    assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    database.remove().await;
}

#[tokio::test]
async fn a_read_is_one_picture_of_the_table() {
    let database = database(
        "create table big (id int primary key, t varchar(600)) engine = innodb;
         insert into big select seq, repeat('x', 500) from seq_1_to_20000;",
    )
    .await;
    let settings = settings(&database);
    let mut request = ReadRequest::full(format!("{}.big", database.name()).parse().unwrap());
    request.batch.rows = 100;
    let mut batches = definition("mysql").read(settings, request, environment());
    let first = batches.try_next().await.unwrap().unwrap();
    let mut connection = database.connect().await;
    sqlx::raw_sql("delete from big where id > 150").execute(&mut connection).await.unwrap();
    let rest: Vec<Batch> = batches.try_collect().await.unwrap();
    assert_eq!(ids(&[vec![first], rest].concat()).len(), 20_000);
    database.remove().await;
}

#[tokio::test]
async fn a_read_that_nobody_takes_lets_go_of_the_server() {
    let database = database(
        "create table big as select seq as id, repeat('x', 500) as t from seq_1_to_200000;",
    )
    .await;
    {
        let mut request = ReadRequest::full(format!("{}.big", database.name()).parse().unwrap());
        request.batch.rows = 100;
        let mut batches = definition("mysql").read(settings(&database), request, environment());
        assert!(batches.try_next().await.unwrap().is_some());
    }
    let mut connection = database.connect().await;
    let busy = "select count(*) from information_schema.processlist where db = database() and id <> connection_id()";
    for _ in 0..100 {
        let count: i64 = sqlx::query_scalar(busy).fetch_one(&mut connection).await.unwrap();
        if count == 0 {
            return database.remove().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the server still sends");
}

#[tokio::test]
async fn a_read_whose_connection_breaks_says_so() {
    let database = database(
        "create table big as select seq as id, repeat('x', 500) as t from seq_1_to_200000;",
    )
    .await;
    let mut request = ReadRequest::full(format!("{}.big", database.name()).parse().unwrap());
    request.batch.rows = 100;
    let mut batches = definition("mysql").read(settings(&database), request, environment());
    assert!(batches.try_next().await.unwrap().is_some());
    let mut connection = database.connect().await;
    let reading = "select id from information_schema.processlist where db = database() and id <> connection_id()";
    let reading: Vec<i64> = sqlx::query_scalar(reading).fetch_all(&mut connection).await.unwrap();
    for id in reading {
        let kill = AssertSqlSafe(format!("kill connection {id}"));
        sqlx::raw_sql(kill).execute(&mut connection).await.unwrap();
    }
    let ended = batches.try_collect::<Vec<_>>().await;
    assert!(matches!(ended, Err(Failure::Unavailable { .. })), "{:?}", ended.map(|it| it.len()));
    database.remove().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_greets_is_unavailable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let settings = json!({ "host": "127.0.0.1", "port": port, "username": "ro" });
    let refused = definition("mysql").check(settings, environment()).await.unwrap_err();
    assert!(matches!(refused, Failure::Unavailable { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_login_finds_only_what_it_may_read() {
    let database = database(
        "create table open_to_all (id int primary key, secret int, name int); create table shut (id int);",
    )
    .await;
    let user = format!("u{}", &database.name()[database.name().len() - 20..]);
    let name = database.name();
    let grants = format!(
        "create user {user} identified by 'pa55word'; grant select (id, name), insert on {name}.open_to_all to {user};
         grant insert on {name}.shut to {user};"
    );
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&mut connection).await.unwrap();

    let mut limited = settings(&database);
    (limited["username"], limited["password"]) = (json!(user), json!("pa55word"));
    let found = definition("mysql").discover(limited.clone(), environment()).await.unwrap();
    let shut = Omitted { name: format!("{name}.shut"), reason: Omission::MissingPermission };
    assert_eq!(found.left_out.0, [shut]);
    let found = found.streams;
    assert_eq!(found.len(), 1, "not the table that it may only write to");
    let fields: Vec<_> = found[0].fields.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(fields, ["id", "name"]);
    assert_eq!(read(&limited, ReadRequest::full(found[0].name.clone())).await.unwrap().len(), 0);
    let shut = ReadRequest::full(format!("{name}.shut").parse().unwrap());
    assert!(matches!(read(&limited, shut).await, Err(Failure::NotFound(_))));
    limited["database"] = json!("mysql");
    let refused = definition("mysql").check(limited.clone(), environment()).await.unwrap_err();
    assert!(matches!(refused, Failure::NotFound(_)), "{refused:?}");
    limited["password"] = json!("wrong");
    let refused = definition("mysql").check(limited, environment()).await.unwrap_err();
    assert!(matches!(refused, Failure::Unauthorized), "{refused:?}");

    let drop = AssertSqlSafe(format!("drop user {user}"));
    sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
    database.remove().await;
}
