//! Databases for tests: each test has one of its own, on a server that it finds by itself.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::marker::PhantomData;

use sqlx::{AssertSqlSafe, Connection, Database, Executor, MySql, Postgres};
use url::Url;
use uuid::Uuid;

/// A PostgreSQL database that belongs to one test.
pub type TestPostgres = TestDatabase<Postgres>;

/// A MariaDB database that belongs to one test. It stands for MySQL too.
pub type TestMysql = TestDatabase<MySql>;

/// A database that belongs to one test.
#[derive(Debug)]
pub struct TestDatabase<M> {
    server: Url,
    name: String,
    make: PhantomData<M>,
}

/// A make of databases that tests can have.
pub trait Make: Database {
    /// What it is called.
    const TITLE: &'static str;
    /// The variable that says where the tests' server is.
    const SETTING: &'static str;
    /// Where it is otherwise.
    const SERVER: &'static str;
    /// The package that brings one.
    const PACKAGE: &'static str;
    /// What goes behind the statement that makes a database.
    const CREATE: &'static str;
    /// What goes behind the statement that drops one.
    const DROP: &'static str;
}

impl Make for Postgres {
    const TITLE: &'static str = "PostgreSQL";
    const SETTING: &'static str = "LINKSPAN_TEST_POSTGRES_URL";
    const SERVER: &'static str = "postgres://postgres@127.0.0.1:5432/postgres";
    const PACKAGE: &'static str = "postgresql";
    const CREATE: &'static str = "";
    const DROP: &'static str = " with (force)";
}

impl Make for MySql {
    const TITLE: &'static str = "MariaDB";
    const SETTING: &'static str = "LINKSPAN_TEST_MYSQL_URL";
    const SERVER: &'static str = "mysql://root@127.0.0.1:3306";
    const PACKAGE: &'static str = "mariadb-server";
    const CREATE: &'static str = " character set utf8mb4";
    const DROP: &'static str = "";
}

impl<M: Make> TestDatabase<M>
where
    for<'c> &'c mut M::Connection: Executor<'c, Database = M>,
{
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
        let server = std::env::var(M::SETTING).unwrap_or_else(|_| M::SERVER.to_owned());
        let server: Url = server.parse().expect("the setting is a URL");
        let name = format!("linkspan_test_{}", Uuid::now_v7().simple());
        let this = Self { server, name, make: PhantomData };
        this.administer(format!("create database {}{}", this.name, M::CREATE)).await;
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
    pub async fn connect(&self) -> M::Connection {
        M::Connection::connect(&self.url()).await.expect("the test's own database answers")
    }

    /// Removes the database. A test that panics leaves it behind for a look.
    pub async fn remove(self) {
        self.administer(format!("drop database if exists {}{}", self.name, M::DROP)).await;
    }

    async fn administer(&self, statement: String) {
        let connected = M::Connection::connect(self.server.as_str()).await;
        let mut connection = connected.unwrap_or_else(|error| {
            panic!(
                "the tests need {} at {} ({error}); run `cargo xtask test`, which finds or starts one, or \
                 `apt-get install {}`, or set {}",
                M::TITLE,
                self.server.host_str().unwrap_or_default(),
                M::PACKAGE,
                M::SETTING
            )
        });
        let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
        done.expect("an administrator may do that");
    }
}
