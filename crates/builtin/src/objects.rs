//! Tables in the objects of a bucket: many objects, one stream.

mod bucket;
mod failure;
mod origin;
mod pattern;
mod pending;
pub(crate) mod s3;
mod share;
mod transport;
mod upload;

use std::sync::Arc;

use arrow_schema::SchemaRef;
use linkspan_domain::{
    Condition, Cursor, CursorType, FieldKind, StreamField, StreamName, StreamSpec,
};
use linkspan_sdk::{
    BatchLimits, BatchSink, CheckOutcome, CursorSpec, Failure, GroupEnd, ReadMode, ReadRequest,
    arrow_schema,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

pub(crate) use self::{bucket::Bucket, pattern::Pattern};
use self::{bucket::Object, origin::Origin, pending::Pending};
use crate::{
    delimited,
    format::{Columns, Format, Manner, Records, columns, found},
};

/// The columns that every record has besides those of its object.
const OBJECT: &str = "_object";
const MODIFIED: &str = "_object_modified";
const ROW: &str = "_row";

/// How many objects tell the columns, the oldest and the newest in equal parts.
const SAMPLE: usize = 10;

/// How many objects one stream may have: their names are sorted in memory.
const OBJECTS: usize = 250_000;

/// Which objects are read.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Place {
    /// The objects to read, all of which are one stream: the key of one object, or a pattern in which `*` stands for
    /// anything but `/`, `**` for anything, `?` for one character, and `[a-z]` for one of several. Without it, all.
    #[schemars(length(min = 1, max = 1024))]
    path: Option<String>,
    /// What the keys of the objects begin with, instead of `path`.
    #[schemars(length(min = 1, max = 1024))]
    prefix: Option<String>,
    /// How the columns get their types: from a sample of the oldest and the newest objects, or all as text.
    #[serde(default)]
    column_types: ColumnTypes,
    /// How many bytes one object may have, uncompressed if it is text. The default is 10 GiB.
    #[serde(default = "ten_gib")]
    #[schemars(range(min = 1))]
    max_object_bytes: u64,
}

/// How columns get their types.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum ColumnTypes {
    /// From a sample.
    #[default]
    Sampled,
    /// All of them are text.
    Text,
}

const fn ten_gib() -> u64 {
    10 * 1024 * 1024 * 1024
}

impl Place {
    /// The key of the object that `stream` is written to.
    pub(crate) fn key(&self, stream: &StreamName) -> Result<String, Failure> {
        let key = match (&self.path, &self.prefix) {
            (Some(path), _) if path.contains(pattern::SPECIAL) => {
                let reason = "is a pattern; to write, give the key of one object, or `prefix`";
                return Err(Failure::setting("path", reason));
            }
            (Some(path), _) => path.clone(),
            (None, prefix) => format!("{}{stream}.parquet", prefix.as_deref().unwrap_or_default()),
        };
        Ok(key.strip_prefix('/').map(str::to_owned).unwrap_or(key))
    }

    /// What the keys of the objects begin with that the changes of `stream` are written to.
    pub(crate) fn folder(&self, stream: &StreamName) -> Result<String, Failure> {
        if self.path.is_some() {
            let reason = "names one object; changes become many, so give `prefix`, or neither";
            return Err(Failure::setting("path", reason));
        }
        let key = format!("{}{stream}/", self.prefix.as_deref().unwrap_or_default());
        Ok(key.strip_prefix('/').map(str::to_owned).unwrap_or(key))
    }

    /// What tells its objects from others of the bucket.
    pub(crate) fn parts(&self) -> Value {
        json!({ "path": self.path, "prefix": self.prefix })
    }

    /// The pattern of the objects of `bucket`.
    pub(crate) fn pattern(&self, bucket: &str) -> Result<Pattern, Failure> {
        match (&self.path, &self.prefix) {
            (Some(_), Some(_)) => Err(Failure::setting("path", "cannot be given beside `prefix`")),
            (Some(path), None) => Pattern::of_path(path, bucket),
            (None, prefix) => Pattern::of_prefix(prefix.as_deref().unwrap_or_default(), bucket),
        }
    }
}

/// What format the objects have.
#[derive(Clone, Copy)]
pub(crate) enum Formats {
    /// All of them this one.
    One(Format),
    /// What the endings of their names say; objects without such an ending are left out.
    ByName,
}

impl Formats {
    fn of(self, key: &str) -> Option<Format> {
        match self {
            Self::One(format) => Some(format),
            Self::ByName => Format::of_name(key),
        }
    }
}

/// The objects that make one stream.
pub(crate) struct Table {
    bucket: Bucket,
    pattern: Pattern,
    formats: Formats,
    manner: Manner,
    column_types: ColumnTypes,
    max_object_bytes: u64,
    primary_key: Vec<String>,
}

impl Table {
    /// The objects at `place` in `bucket`.
    pub(crate) fn new(
        bucket: Bucket,
        place: &Place,
        formats: Formats,
        csv: &delimited::Format,
    ) -> Result<Self, Failure> {
        let max_object_bytes = place.max_object_bytes;
        Ok(Self {
            pattern: place.pattern(bucket.name())?,
            bucket,
            formats,
            manner: Manner { dialect: Arc::new(csv.dialect()?), text_bytes: max_object_bytes },
            column_types: place.column_types,
            max_object_bytes,
            primary_key: csv.primary_key.clone(),
        })
    }

    /// The name of the stream.
    const fn name(&self) -> &StreamName {
        self.pattern.name()
    }

    /// Looks at the first object that matches, at its beginning alone.
    pub(crate) async fn check(&self) -> Result<CheckOutcome, Failure> {
        let mut listing = self.bucket.list(self.pattern.literal()).await?;
        while let Some(object) = listing.next().await? {
            if self.is_wanted(&object) {
                let columns = self.columns_of(object).await?.fields().len();
                return Ok(found(self.name(), columns));
            }
        }
        Err(self.nothing())
    }

    /// Lists the bucket, in which nothing needs to be yet. Answers what that shows.
    pub(crate) async fn reach(&self) -> Result<String, Failure> {
        self.bucket.list(self.pattern.literal()).await?.next().await?;
        Ok(format!("the bucket `{}` can be listed", self.bucket.name()))
    }

    /// What the objects offer as a stream.
    pub(crate) async fn spec(&self) -> Result<StreamSpec, Failure> {
        let objects = self.objects().await?;
        self.spec_of(&self.columns(&objects).await?)
    }

    /// Reads what `request` asks for into `out`, in the order of the objects' times.
    pub(crate) async fn read(
        &self,
        request: ReadRequest,
        out: &mut BatchSink,
    ) -> Result<(), Failure> {
        if request.stream != *self.name() {
            return Err(Failure::NotFound(format!("stream `{}`", request.stream)));
        }
        let (after, promises) = match request.mode {
            ReadMode::Full => (None, false),
            ReadMode::Incremental { cursor, after } => (time_of(&cursor, after.as_ref())?, true),
        };
        let mut objects = self.objects().await?;
        // All of them tell the columns, whichever part is read.
        let columns = self.columns(&objects).await?;
        share::retain(&mut objects, &request.filter)?;
        let schema = arrow_schema(&self.spec_of(&columns)?);
        let old = objects.partition_point(|it| Some(it.modified) < after);
        let mut pending = Pending::new(schema.clone(), request.batch, out);
        for object in objects.split_off(old) {
            let cursor = promises.then_some(Cursor::Timestamp(object.modified));
            self.read_object(object, &columns, &schema, request.batch, cursor, &mut pending)
                .await?;
        }
        pending.flush().await
    }

    /// Shares the objects out. Not where their records have a key of their own: of several with one key the newest counts.
    pub(crate) async fn split(
        &self,
        stream: &StreamName,
        parts: usize,
    ) -> Result<Vec<Condition>, Failure> {
        if stream != self.name() || !self.primary_key.is_empty() {
            return Ok(Vec::new());
        }
        Ok(share::split(self.objects().await?, parts))
    }

    async fn read_object(
        &self,
        object: Object,
        columns: &Columns,
        schema: &SchemaRef,
        limits: BatchLimits,
        cursor: Option<Cursor>,
        pending: &mut Pending<'_>,
    ) -> Result<(), Failure> {
        let Some(format) = self.formats.of(&object.key) else { return Ok(()) };
        let opened = self.bucket.open(object)?;
        let file = Arc::clone(&opened) as Arc<_>;
        let mut records = Records::open(file, format, &self.manner, columns, limits).await?;
        let mut row = 1;
        while let Some(chunk) = records.next().await? {
            let origin = Origin { object: &opened, row };
            row += i64::try_from(chunk.records.num_rows()).unwrap_or(i64::MAX);
            let (records, unfit) = origin.mark(chunk, columns, schema)?;
            pending.push(records, unfit, cursor.clone()).await?;
        }
        pending.lose(records.strays().losses());
        if !self.primary_key.is_empty() {
            // Another object may have the records that this one has no more.
            return Ok(());
        }
        pending.end(GroupEnd { group: opened.object().key.clone(), last: row - 1 }).await
    }

    /// The objects to read, oldest first.
    async fn objects(&self) -> Result<Vec<Object>, Failure> {
        let mut listing = self.bucket.list(self.pattern.literal()).await?;
        let mut objects = Vec::new();
        while let Some(object) = listing.next().await? {
            if !self.is_wanted(&object) {
                continue;
            }
            if object.bytes > self.max_object_bytes {
                let what = format!("the object `{}`", object.key);
                return Err(Failure::TooLarge { what, limit: self.max_object_bytes });
            }
            if objects.len() == OBJECTS {
                return Err(Failure::Refused(format!(
                    "more than {OBJECTS} objects match; narrow `path`, with one activation for each part"
                )));
            }
            objects.push(object);
        }
        if objects.is_empty() {
            return Err(self.nothing());
        }
        objects.sort_unstable_by(|one, other| {
            (one.modified, &one.key).cmp(&(other.modified, &other.key))
        });
        Ok(objects)
    }

    fn is_wanted(&self, object: &Object) -> bool {
        let key = &object.key;
        object.bytes > 0 && self.pattern.matches(key) && self.formats.of(key).is_some()
    }

    fn nothing(&self) -> Failure {
        let ending = match self.formats {
            Formats::One(_) => "",
            Formats::ByName => " and whose name ends as one of CSV, JSON Lines or Parquet",
        };
        let bucket = self.bucket.name();
        Failure::NotFound(format!("an object of `{bucket}` that {}{ending}", self.pattern))
    }

    /// The columns of `objects`, as a sample tells them.
    async fn columns(&self, objects: &[Object]) -> Result<Columns, Failure> {
        let half = SAMPLE / 2;
        let (oldest, rest) = objects.split_at(half.min(objects.len()));
        let newest = &rest[rest.len().saturating_sub(half)..];
        let mut columns = Columns::default();
        for object in oldest.iter().chain(newest) {
            columns.merge(&self.columns_of(object.clone()).await?);
        }
        Ok(match self.column_types {
            ColumnTypes::Sampled => columns,
            ColumnTypes::Text => columns.as_text(),
        })
    }

    async fn columns_of(&self, object: Object) -> Result<Columns, Failure> {
        match self.formats.of(&object.key) {
            Some(format) => columns(self.bucket.open(object)?, format, &self.manner).await,
            None => Ok(Columns::default()),
        }
    }

    fn spec_of(&self, columns: &Columns) -> Result<StreamSpec, Failure> {
        let mut fields = columns.fields();
        for at in 0..fields.len() {
            // The names of our own columns are taken.
            while [OBJECT, MODIFIED, ROW].contains(&fields[at].name.as_str())
                || fields[..at].iter().any(|it| it.name == fields[at].name)
            {
                fields[at].name.push_str("_2");
            }
        }
        for (name, kind) in
            [(OBJECT, FieldKind::Text), (MODIFIED, FieldKind::Timestamp), (ROW, FieldKind::Integer)]
        {
            fields.push(StreamField { name: name.to_owned(), kind, nullable: false });
        }
        if self.primary_key.iter().any(|key| fields.iter().all(|it| it.name != *key)) {
            return Err(Failure::setting("primary_key", "names a column that the objects lack"));
        }
        let primary_key = if self.primary_key.is_empty() {
            vec![OBJECT.to_owned(), ROW.to_owned()]
        } else {
            self.primary_key.clone()
        };
        Ok(StreamSpec {
            name: self.name().clone(),
            cursor_candidates: vec![MODIFIED.to_owned()],
            primary_key,
            supports_incremental: true,
            fields,
        })
    }
}

/// The time to read from. Only that of the objects tells what is new.
fn time_of(cursor: &CursorSpec, after: Option<&Cursor>) -> Result<Option<OffsetDateTime>, Failure> {
    let invalid = |reason: &str| Failure::Invalid {
        what: "request".into(),
        field: "cursor_column".to_owned(),
        reason: reason.to_owned(),
    };
    if cursor.column != MODIFIED {
        return Err(invalid("must be `_object_modified`: objects are read by their time"));
    }
    let is_timestamp = cursor.cursor_type == CursorType::Timestamp;
    match after {
        None if is_timestamp => Ok(None),
        Some(Cursor::Timestamp(after)) if is_timestamp => Ok(Some(*after)),
        _ => Err(invalid("holds points in time, so the cursor type must be timestamp")),
    }
}
