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
}

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
            return Ok(Self { sling: None, adbc: None });
        };
        let python = environment.join("bin/python");
        if !python.exists() {
            bail!(
                "{} is no Python environment; make one as docs/benchmarks.md says",
                environment.display()
            );
        }
        let knows = Command::new(&python)
            .args(["-c", "import adbc_driver_postgresql, pyarrow"])
            .output()?;
        let adbc = knows.status.success().then_some(python);
        let peers = Self { sling: sling(environment), adbc };
        for (name, found) in [("sling", &peers.sling), ("adbc", &peers.adbc)] {
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
