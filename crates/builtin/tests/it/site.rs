//! A bucket on the tests' S3 server, filled without the code under test.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use arrow_array::RecordBatch;
use futures_util::StreamExt;
use linkspan_egress::{EgressPolicy, GuardedClient};
use linkspan_sdk::{Batch, Definition, Environment, Failure, OpenHosts, ReadRequest};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use url::Url;
use uuid::Uuid;

/// Where the tests' server is, unless `LINKSPAN_TEST_S3_ENDPOINT` says otherwise.
const SERVER: &str = "http://127.0.0.1:5555";

/// What a request of anybody else would lack. The server does not look at the signature.
const KEY: &str = "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/s3/aws4_request, \
                   SignedHeaders=host, Signature=0";

#[expect(clippy::disallowed_methods, reason = "tests find their server by themselves")]
fn server() -> Url {
    let server = std::env::var("LINKSPAN_TEST_S3_ENDPOINT").unwrap_or_else(|_| SERVER.to_owned());
    server.parse().expect("LINKSPAN_TEST_S3_ENDPOINT is a URL")
}

/// A bucket of one test.
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) environment: Environment,
}

impl Bucket {
    pub(crate) async fn create() -> Self {
        // Another test of the process may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let loopback = EgressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let client = Arc::new(GuardedClient::new(loopback).unwrap());
        let name = format!("linkspan-{}", Uuid::new_v4().simple());
        send("PUT", &format!("/{name}"), &[], b"").await;
        Self { name, environment: Environment::new(client, Arc::new(OpenHosts)) }
    }

    /// A bucket with these objects.
    pub(crate) async fn with(objects: &[(&str, &str)]) -> Self {
        let bucket = Self::create().await;
        for (key, text) in objects {
            bucket.put(key, text.as_bytes()).await;
        }
        bucket
    }

    pub(crate) async fn put(&self, key: &str, body: &[u8]) {
        self.put_with(key, &[], body).await;
    }

    pub(crate) async fn put_with(&self, key: &str, headers: &[(&str, &str)], body: &[u8]) {
        send("PUT", &self.path(key), headers, body).await;
    }

    pub(crate) async fn delete(&self, key: &str) {
        send("DELETE", &self.path(key), &[], b"").await;
    }

    /// Every byte is escaped, so that nothing on the way makes anything of it.
    fn path(&self, key: &str) -> String {
        let mut path = format!("/{}/", self.name);
        for byte in key.bytes() {
            match byte {
                b'/' => path.push('/'),
                _ => write!(path, "%{byte:02X}").unwrap(),
            }
        }
        path
    }

    /// Settings that read `path`, and `more`.
    pub(crate) fn settings(&self, path: &str, more: Value) -> Value {
        let mut settings = json!({
            "bucket": self.name, "path": path, "endpoint": server(),
            "access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI-s3cr3t",
        });
        let Value::Object(more) = more else { panic!("settings are an object") };
        for (name, value) in more {
            settings[name] = value;
        }
        settings
    }

    pub(crate) async fn read(
        &self,
        key: &str,
        settings: Value,
        request: ReadRequest,
    ) -> Result<Vec<Batch>, Failure> {
        let mut read = definition(key).read(settings, request, self.environment.clone());
        let mut batches = Vec::new();
        while let Some(batch) = read.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    /// The records at `path`, as JSON without the time of their object.
    pub(crate) async fn rows(&self, path: &str, stream: &str) -> Result<Value, Failure> {
        let request = ReadRequest::full(stream.parse().unwrap());
        let batches = self.read("s3_storage", self.settings(path, json!({})), request).await?;
        Ok(rows(&batches))
    }
}

/// The built-in type with this key.
pub(crate) fn definition(key: &str) -> Definition {
    linkspan_builtin::all().into_iter().find(|it| it.manifest.key.as_str() == key).unwrap()
}

/// Records as JSON, without the time of their object.
pub(crate) fn rows(batches: &[Batch]) -> Value {
    let records: Vec<&RecordBatch> = batches.iter().map(|it| &it.records).collect();
    let mut writer = arrow_json::ArrayWriter::new(Vec::new());
    writer.write_batches(&records).unwrap();
    writer.finish().unwrap();
    let text = writer.into_inner();
    if text.is_empty() {
        return json!([]);
    }
    let mut rows: Vec<HashMap<String, Value>> = serde_json::from_slice(&text).unwrap();
    for row in &mut rows {
        assert!(row.remove("_object_modified").is_some());
    }
    json!(rows)
}

/// Sends one request, as bytes: clients tidy paths up.
async fn send(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
    let server = server();
    let address = (server.host_str().unwrap(), server.port_or_known_default().unwrap());
    let mut stream = TcpStream::connect(address).await.unwrap_or_else(|error| {
        panic!(
            "the tests need an S3 server at {server} ({error}); run `cargo xtask test`, which starts one, or \
             `pip install 'moto[server]'` and `moto_server -p 5555`, or set LINKSPAN_TEST_S3_ENDPOINT"
        )
    });
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{KEY}\r\n", address.0);
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    write!(head, "connection: close\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
}
