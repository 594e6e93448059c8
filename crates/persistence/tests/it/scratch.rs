//! Databases that live as long as a test.

use std::{future::Future, time::Duration};

use linkspan_persistence::{Database, connect};
use linkspan_testkit::TestPostgres;
use tempfile::TempDir;

/// Runs `test` on an empty SQLite database.
pub(crate) async fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(String) -> F) {
    let folder = TempDir::new().unwrap();
    test(format!("sqlite://{}", folder.path().join("linkspan.db").display())).await;
}

/// Runs `test` on an empty PostgreSQL database.
pub(crate) async fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(String) -> F) {
    let database = TestPostgres::create().await;
    test(database.url()).await;
    database.remove().await;
}

/// Opens the database at `url`, with the newest schema.
pub(crate) async fn open(url: &str) -> Database {
    let db = connect(url).await.unwrap();
    db.migrate().await.unwrap();
    db
}

/// Runs statements on the database at `url`, past the stores.
pub(crate) async fn run(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, raw_sql};
    let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await?;
        sql.execute(&mut connection).await?;
        connection.close().await
    } else {
        let mut connection = PgConnection::connect(url).await?;
        sql.execute(&mut connection).await?;
        connection.close().await
    }
}

/// Returns when so many wait for somebody else in the PostgreSQL database at `url`.
pub(crate) async fn waiting(url: &str, many: i64) {
    use sqlx::{Connection, PgConnection, query_scalar};
    let mut connection = PgConnection::connect(url).await.unwrap();
    for _ in 0..1_000 {
        let count = query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        if count.fetch_one(&mut connection).await.unwrap() == many {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{many} should have waited");
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
