//! A database that lasts as long as its owner.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{database_server::DatabaseServer, debian, postgres::Postgres, process};

/// A database on a server; dropping this drops it.
pub(crate) struct Database {
    server: String,
    url: String,
    name: &'static str,
}

impl Database {
    /// Makes an empty database, in place of one that an earlier run may have left.
    pub(crate) fn create(postgres: &DatabaseServer<Postgres>, name: &'static str) -> Result<Self> {
        if process::find("psql").is_none() {
            debian::install("there is no psql", &["postgresql-client"])?;
        }
        let server = postgres.url();
        let url = with_database(&server, name).context("the address of PostgreSQL has no host")?;
        let database = Self { server, url, name };
        database.drop_it()?;
        process::read(&mut psql(&database.server, &format!("create database {name}")))?;
        Ok(database)
    }

    /// The address of the database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements, each on its own; every one ends its line.
    pub(crate) fn run(&self, statements: &str) -> Result<()> {
        let mut command = psql(&self.url, "");
        for statement in statements.split(";\n") {
            if !statement.trim().is_empty() {
                command.args(["-c", statement]);
            }
        }
        process::read(&mut command).map(drop)
    }

    /// `psql` with one statement for this database; input and output are the caller's to set.
    pub(crate) fn psql(&self, statement: &str) -> Command {
        let mut command = psql(&self.url, statement);
        command.stdin(Stdio::null());
        command
    }

    fn drop_it(&self) -> Result<()> {
        let statement = format!("drop database if exists {} with (force)", self.name);
        process::read(&mut psql(&self.server, &statement)).map(drop)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A private server goes away with its data; any other is cleaned by the next run.
        let _ = self.drop_it();
    }
}

fn psql(url: &str, statement: &str) -> Command {
    let mut command = Command::new("psql");
    command
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", url])
        .env("PGOPTIONS", "-c client_min_messages=warning");
    if !statement.is_empty() {
        command.args(["-c", statement]);
    }
    command
}

/// `url` with another database.
fn with_database(url: &str, name: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let host = address.split('/').next().filter(|it| !it.is_empty())?;
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    Some(format!("{scheme}://{host}/{name}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_an_address_changes() {
        for (url, expected) in [
            ("postgres://a:b@c:5/d?sslmode=disable", "postgres://a:b@c:5/x?sslmode=disable"),
            ("postgres://c", "postgres://c/x"),
        ] {
            assert_eq!(with_database(url, "x").as_deref(), Some(expected));
        }
        assert_eq!(with_database("postgres", "x"), None);
    }
}
