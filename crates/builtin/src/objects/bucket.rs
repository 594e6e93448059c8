//! A bucket: listing it, and reading ranges of what is in it.

use std::{ops::Range, sync::Arc, time::Duration, time::SystemTime};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use linkspan_domain::ports::Limits;
use linkspan_sdk::{Failure, Http};
use opendal::{
    Builder, HttpTransporter, Lister, OperationContext, Operator, layers::RetryLayer,
    raw::normalize_path,
};
use time::OffsetDateTime;

use super::{
    failure::{changed, failure},
    transport::Guarded,
    upload::Upload,
};
use crate::format::Ranges;

/// The most bytes of one answer: a page of a listing, or a piece of an object.
const ANSWER: u64 = 32 * 1024 * 1024;

/// How much of an object is sent at a time.
const PART: usize = 8 * 1024 * 1024;

/// How often an exchange that failed is tried again, and how long after the first time.
const RETRIES: usize = 3;
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A bucket. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bucket {
    operator: Operator,
    name: Arc<str>,
    system: Arc<str>,
}

/// An object as it was listed.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) modified: OffsetDateTime,
    etag: Option<String>,
}

impl Bucket {
    /// The bucket `name` of `system`, as `service` reaches it through `http`; one exchange may last for `patience`.
    pub(crate) fn new(
        service: impl Builder,
        name: &str,
        system: &str,
        http: Http,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let limits = Limits { body_bytes: ANSWER, total: patience };
        let transport = HttpTransporter::new(Guarded { http, limits });
        let retry = RetryLayer::new().with_max_times(RETRIES).with_min_delay(RETRY_DELAY);
        let operator = Operator::new(service)
            .map_err(|error| failure(&error, name, system, "the bucket"))?
            .with_context(OperationContext::new().with_http_transport(transport))
            .layer(retry);
        Ok(Self { operator, name: name.into(), system: system.into() })
    }

    /// The name of the bucket.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The objects whose keys begin with `prefix`, a page at a time; they may be more.
    pub(super) async fn list(&self, prefix: &str) -> Result<Listing<'_>, Failure> {
        let lister = self.operator.lister_with(addressable(prefix)).recursive(true).await;
        let lister = lister.map_err(|error| self.failure(&error, "its objects"))?;
        Ok(Listing { bucket: self, lister })
    }

    /// The contents of `object`, as long as they are those that were listed.
    pub(super) fn open(&self, object: Object) -> Result<Arc<Opened>, Failure> {
        let opened = Opened { bucket: self.clone(), object };
        // OpenDAL would ask for another key.
        if normalize_path(&opened.object.key) != opened.object.key {
            return Err(Failure::Refused(format!(
                "{} cannot be reached: its name has blanks around it or empty parts; narrow `path`",
                opened.what()
            )));
        }
        Ok(Arc::new(opened))
    }

    /// Writes the object `key` as a whole, in place of what was there before.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Failure> {
        writable(key)?;
        let written = self.operator.write_with(key, bytes).chunk(PART).await;
        written.map(drop).map_err(|error| self.failure(&error, &format!("the object `{key}`")))
    }

    /// Begins to write the object `key`. It is there when the upload is complete, in place of what was there before.
    pub(crate) async fn upload(&self, key: &str) -> Result<Upload, Failure> {
        writable(key)?;
        let writer = self.operator.writer_with(key).chunk(PART).await;
        let what = format!("the object `{key}`");
        let writer = writer.map_err(|error| self.failure(&error, &what))?;
        Ok(Upload::new(self.clone(), what, writer))
    }

    pub(super) fn failure(&self, error: &opendal::Error, what: &str) -> Failure {
        failure(error, &self.name, &self.system, what)
    }
}

/// Passes if OpenDAL would write to `key`, and to no other.
fn writable(key: &str) -> Result<(), Failure> {
    if normalize_path(key) != key || key.ends_with('/') {
        let reason = "the key of an object must not have blanks around it or empty parts";
        return Err(Failure::Refused(reason.to_owned()));
    }
    Ok(())
}

/// As much of `prefix` as OpenDAL leaves as it is.
fn addressable(prefix: &str) -> &str {
    let mut prefix = prefix;
    while !prefix.is_empty() && normalize_path(prefix) != prefix {
        prefix = prefix.char_indices().next_back().map_or("", |(end, _)| &prefix[..end]);
    }
    prefix
}

/// Objects as they are listed.
pub(super) struct Listing<'b> {
    bucket: &'b Bucket,
    lister: Lister,
}

impl Listing<'_> {
    /// The next object. Folders are none.
    pub(super) async fn next(&mut self) -> Result<Option<Object>, Failure> {
        while let Some(entry) = self.lister.next().await {
            let entry = entry.map_err(|error| self.bucket.failure(&error, "its objects"))?;
            let (key, metadata) = entry.into_parts();
            let Some(modified) = metadata.last_modified().filter(|_| metadata.is_file()) else {
                continue;
            };
            let modified = OffsetDateTime::from(SystemTime::from(modified));
            let etag = metadata.etag().map(str::to_owned);
            return Ok(Some(Object { key, bytes: metadata.content_length(), modified, etag }));
        }
        Ok(None)
    }
}

/// An object whose contents are read.
pub(super) struct Opened {
    bucket: Bucket,
    object: Object,
}

impl Opened {
    pub(super) const fn object(&self) -> &Object {
        &self.object
    }
}

impl Ranges for Opened {
    fn what(&self) -> String {
        format!("the object `{}`", self.object.key)
    }

    fn bytes(&self) -> u64 {
        self.object.bytes
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, Failure>> {
        async move {
            let length = range.end - range.start;
            let mut read = self.bucket.operator.read_with(&self.object.key).range(range);
            if let Some(etag) = &self.object.etag {
                read = read.if_match(etag);
            }
            let bytes = read.await.map_err(|error| self.bucket.failure(&error, &self.what()))?;
            if bytes.len() as u64 != length {
                return Err(changed(&self.what()));
            }
            Ok(bytes.to_bytes())
        }
        .boxed()
    }
}
