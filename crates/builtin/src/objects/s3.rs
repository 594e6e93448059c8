//! Buckets of Amazon S3, and of servers that speak as it does.

use std::time::Duration;

use linkspan_domain::Secret;
use linkspan_sdk::{ConnectorType, Cx, Failure};
use opendal::services::S3 as Service;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Bucket;

/// Which bucket, and who reads it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct S3 {
    /// The name of the bucket.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    bucket: String,
    /// The region of the bucket.
    #[serde(default = "us_east_1")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    region: String,
    /// Where the server is, if it is not Amazon's: `https://minio.example.com`.
    endpoint: Option<Url>,
    /// The name of the access key. Without a key, the bucket is read as anybody may read it.
    #[schemars(length(min = 1))]
    access_key_id: Option<String>,
    /// The secret half of the access key.
    secret_access_key: Option<Secret>,
    /// What goes with an access key that was lent for some time.
    session_token: Option<Secret>,
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

impl S3 {
    /// The name of the bucket.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What tells it from other buckets, whoever reads it.
    pub(crate) fn place(&self) -> Value {
        json!({ "endpoint": self.endpoint, "bucket": self.bucket })
    }

    /// Refuses what does not fit together.
    pub(crate) fn accept(&self) -> Result<(), Failure> {
        self.key()?;
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(Failure::setting("endpoint", "must begin with http:// or https://"));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(Failure::setting("endpoint", "must not contain credentials"));
        }
        if endpoint.path() != "/" || endpoint.query().is_some() || endpoint.fragment().is_some() {
            return Err(Failure::setting("endpoint", "must end after the host and the port"));
        }
        Ok(())
    }

    /// The bucket, through the way out that `cx` has.
    pub(crate) fn open<T: ConnectorType>(&self, cx: &Cx<T>) -> Result<Bucket, Failure> {
        // What the process of the platform may have for itself is not for its users.
        let mut service = Service::default()
            .disable_config_load()
            .disable_ec2_metadata()
            .bucket(&self.bucket)
            .region(&self.region);
        let mut system = "Amazon S3";
        if let Some(endpoint) = &self.endpoint {
            service = service.endpoint(endpoint.as_str());
            system = endpoint.host_str().unwrap_or(system);
        }
        service = match self.key()? {
            None => service.skip_signature(),
            Some((id, secret)) => service.access_key_id(id).secret_access_key(secret.expose()),
        };
        if let Some(token) = &self.session_token {
            service = service.session_token(token.expose());
        }
        let patience = Duration::from_secs(cx.limits.download_secs);
        Bucket::new(service, &self.bucket, system, cx.http.clone(), patience)
    }

    /// Whether requests say who sends them.
    pub(crate) fn is_signed(&self) -> bool {
        self.key().is_ok_and(|it| it.is_some())
    }

    fn key(&self) -> Result<Option<(&str, &Secret)>, Failure> {
        let secret = self.secret_access_key.as_ref().filter(|it| !it.expose().is_empty());
        match (&self.access_key_id, secret) {
            (Some(id), Some(secret)) => Ok(Some((id, secret))),
            (None, None) if self.session_token.is_none() => Ok(None),
            (_, None) => {
                Err(Failure::setting("secret_access_key", "is required with `access_key_id`"))
            }
            (None, Some(_)) => {
                Err(Failure::setting("access_key_id", "is required with `secret_access_key`"))
            }
        }
    }
}
