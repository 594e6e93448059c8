//! Databases that live as long as a test.

use std::future::Future;

use linkspan_persistence::{Database, connect};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// Runs `test` on an empty SQLite database.
pub(crate) async fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(String) -> F) {
    let folder = TempDir::new().unwrap();
    test(format!("sqlite://{}", folder.path().join("linkspan.db").display())).await;
}

/// Runs `test` on an empty PostgreSQL database, which is dropped if the test passes.
pub(crate) async fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(String) -> F) {
    let server = server();
    let name = format!("linkspan_test_{}", Uuid::new_v4().simple());
    let mut admin = admin(&server).await;
    admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    test(with_database(&server, &name)).await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    admin.execute(sqlx::AssertSqlSafe(drop)).await.unwrap();
    admin.close().await.unwrap();
}

/// Opens the database at `url`, with the newest schema.
pub(crate) async fn open(url: &str) -> Database {
    let db = connect(url).await.unwrap();
    db.migrate().await.unwrap();
    db
}

fn server() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the tests' server is, is not a setting of the program"
    )]
    let url = std::env::var("LINKSPAN_TEST_POSTGRES_URL");
    url.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned())
}

async fn admin(server: &str) -> PgConnection {
    match PgConnection::connect(server).await {
        Ok(connection) => connection,
        Err(error) => panic!(
            "no PostgreSQL for the tests ({error}); start one, and type:\n  export LINKSPAN_TEST_POSTGRES_URL=postgres://USER:PASSWORD@HOST:PORT/postgres"
        ),
    }
}

fn with_database(server: &str, name: &str) -> String {
    let (server, parameters) = server.split_once('?').unwrap_or((server, ""));
    let (host, _) = server.rsplit_once('/').unwrap();
    let mark = if parameters.is_empty() { "" } else { "?" };
    format!("{host}/{name}{mark}{parameters}")
}

/// One test on each database.
macro_rules! on_both {
    ($($name:ident)+) => {
        mod on_sqlite {$(
            #[tokio::test]
            async fn $name() {
                crate::scratch::on_sqlite(|url| async move { super::$name(&url).await }).await;
            }
        )+}

        mod on_postgres {$(
            #[tokio::test]
            async fn $name() {
                crate::scratch::on_postgres(|url| async move { super::$name(&url).await }).await;
            }
        )+}
    };
}
pub(crate) use on_both;
