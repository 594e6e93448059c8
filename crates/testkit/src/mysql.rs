//! MariaDB for tests, which stands for MySQL too: each test has a database of its own.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use url::Url;
use uuid::Uuid;

/// A database that belongs to one test.
#[derive(Debug)]
pub struct TestMysql {
    server: Url,
    name: String,
}

/// Where the tests' server is, unless `LINKSPAN_TEST_MYSQL_URL` says otherwise.
const SERVER: &str = "mysql://root@127.0.0.1:3306";

impl TestMysql {
    /// Makes an empty database.
    ///
    /// # Panics
    ///
    /// When no server answers: the message says what to do. A missing server is a failure, never a skip.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests find their server and name their database by themselves"
    )]
    pub async fn create() -> Self {
        let server = std::env::var("LINKSPAN_TEST_MYSQL_URL").unwrap_or_else(|_| SERVER.to_owned());
        let server: Url = server.parse().expect("LINKSPAN_TEST_MYSQL_URL is a URL");
        let name = format!("linkspan_test_{}", Uuid::now_v7().simple());
        let this = Self { server, name };
        this.administer(&format!("create database {} character set utf8mb4", this.name)).await;
        this
    }

    /// Where the database is.
    pub fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.into()
    }

    /// Host, port and user, for settings that name them one by one.
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to the database.
    ///
    /// # Panics
    ///
    /// When the server does not answer any more.
    pub async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.url()).await.expect("the test's own database answers")
    }

    /// Removes the database. A test that panics leaves it behind for a look.
    pub async fn remove(self) {
        self.administer(&format!("drop database if exists {}", self.name)).await;
    }

    async fn administer(&self, statement: &str) {
        let connected = MySqlConnection::connect(self.server.as_str()).await;
        let mut connection = connected.unwrap_or_else(|error| {
            panic!(
                "the tests need MariaDB at {} ({error}); run `cargo xtask test`, which finds or starts one, or \
                 `apt-get install mariadb-server`, or set LINKSPAN_TEST_MYSQL_URL",
                self.server.host_str().unwrap_or_default()
            )
        });
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .expect("an administrator may do that");
    }
}
