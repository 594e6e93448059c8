//! Other loaders, where they are installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{process, terminal::say};

/// The programs of a Python environment.
pub(super) struct Peers {
    /// The binary of Sling.
    pub(super) sling: Option<PathBuf>,
    /// A Python that knows ADBC for PostgreSQL.
    pub(super) adbc: Option<PathBuf>,
    /// A Python that knows dlt and what it reads tables by.
    pub(super) dlt: Option<PathBuf>,
}

/// Replaces a table by another, as it does of itself: the address it reads from, that which it writes to, and a folder.
pub(super) const DLT: &str = r#"
import sys
import dlt
from dlt.sources.sql_database import sql_table
source, target, home = sys.argv[1:]
# SQLAlchemy knows no other scheme.
source = source.replace("postgres://", "postgresql://", 1)
pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(target), dataset_name="dlt_bench", pipelines_dir=home)
table = sql_table(credentials=source, table="customers_part", schema="public")
table.apply_hints(primary_key="id")
pipeline.run(table, write_disposition="replace")
"#;

/// Reads the table in batches: the address, the rows that there are, and perhaps a Parquet file to write.
pub(super) const ADBC: &str = r#"
import sys
import adbc_driver_postgresql.dbapi as adbc
url, rows, to = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
count, writer = 0, None
with adbc.connect(url) as connection, connection.cursor() as cursor:
    cursor.execute("select * from customers")
    reader = cursor.fetch_record_batch()
    if to:
        import pyarrow.parquet as parquet
        writer = parquet.ParquetWriter(to[0], reader.schema, compression="zstd")
    for batch in reader:
        count += batch.num_rows
        if writer:
            writer.write_batch(batch)
    if writer:
        writer.close()
assert count == rows, count
"#;

impl Peers {
    /// Looks into `environment`. What is not there is not compared with.
    pub(super) fn find(environment: Option<&Path>) -> Result<Self> {
        let Some(environment) = environment else {
            say("without --peers, only `psql` is compared with");
            return Ok(Self { sling: None, adbc: None, dlt: None });
        };
        let python = environment.join("bin/python");
        if !python.exists() {
            bail!(
                "{} is no Python environment; make one as docs/benchmarks.md says",
                environment.display()
            );
        }
        let knows = |modules: &str| -> Result<Option<PathBuf>> {
            let asked =
                Command::new(&python).args(["-c", &format!("import {modules}")]).output()?;
            Ok(asked.status.success().then(|| python.clone()))
        };
        let peers = Self {
            sling: sling(environment),
            adbc: knows("adbc_driver_postgresql, pyarrow")?,
            dlt: knows("dlt, psycopg2, sqlalchemy")?,
        };
        for (name, found) in [("sling", &peers.sling), ("adbc", &peers.adbc), ("dlt", &peers.dlt)] {
            if found.is_none() {
                say(format!("{name} is not there, so it is not compared with"));
            }
        }
        Ok(peers)
    }
}

/// The wheel brings the binary along.
fn sling(environment: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(environment.join("lib")).ok()?;
    let inside = "site-packages/sling_linux_amd64/bin/sling-linux-amd64";
    let paths = versions.filter_map(|it| Some(it.ok()?.path().join(inside)));
    paths.into_iter().find(|it| it.is_file()).or_else(|| process::find("sling"))
}
