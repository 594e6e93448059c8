//! One that speaks to the product's API, over one connection.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    http::{self, Connection},
    server::{ADMIN_KEY, Server},
};

/// A connection to a server, as its administrator.
pub(super) struct Client<'s> {
    connection: Connection,
    server: &'s Server,
}

impl<'s> Client<'s> {
    pub(super) fn open(server: &'s Server) -> Result<Self> {
        Ok(Self { connection: Connection::open(server.address())?, server })
    }

    pub(super) fn get(&mut self, path: &str) -> Result<Value> {
        let request = http::get(self.server.address(), path, Some(ADMIN_KEY));
        self.exchange(&request)
    }

    /// Posts a document of one resource; returns the identifier of what was made.
    pub(super) fn make(&mut self, path: &str, kind: &str, attributes: &Value) -> Result<String> {
        let body = json!({ "data": { "type": kind, "attributes": attributes } }).to_string();
        let request = http::post(self.server.address(), path, ADMIN_KEY, &body);
        let made = self.exchange(&request)?;
        Ok(made["data"]["id"].as_str().context("what was made has no identifier")?.to_owned())
    }

    /// The catalog's connector of a type.
    pub(super) fn connector(&mut self, connector_type: &str) -> Result<String> {
        let path = format!("/v1/connectors?filter[connector_type]={connector_type}&page[size]=1");
        let found = self.get(&path)?;
        let id = found["data"][0]["id"].as_str();
        Ok(id
            .with_context(|| format!("the catalog has no connector of type {connector_type}"))?
            .to_owned())
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Value> {
        let (status, body) = self.connection.fetch(request)?;
        ensure!(
            matches!(status, 200..=202),
            "the server answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(serde_json::from_slice(&body)?)
    }
}
