//! Writing Apache Parquet, a row group at a time.

use linkspan_domain::StreamSpec;
use linkspan_sdk::{Change, Failure, Intake, arrow_schema};
use parquet::{
    arrow::{AsyncArrowWriter, async_writer::AsyncFileWriter},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

/// About how much of a row group is kept in memory before it is written out, encoded as it is.
pub(super) const ROW_GROUP: usize = 32 * 1024 * 1024;

/// Writes the records of `intake` into `file`, to its end.
///
/// The file is given back in either case: whether it is to be kept, and how to do away with it, is its owner's
/// business.
pub(crate) async fn write_parquet<W: AsyncFileWriter>(
    stream: &StreamSpec,
    intake: &mut Intake,
    file: W,
) -> Result<(W, Result<(), Failure>), Failure> {
    let writer = AsyncArrowWriter::try_new(file, arrow_schema(stream), Some(properties()));
    let mut writer = writer.map_err(failure)?;
    let written = groups(&mut writer, intake).await;
    Ok((writer.into_inner(), written))
}

/// How files are written.
pub(super) fn properties() -> WriterProperties {
    let compression = Compression::ZSTD(ZstdLevel::default());
    WriterProperties::builder().set_compression(compression).build()
}

async fn groups<W: AsyncFileWriter>(
    writer: &mut AsyncArrowWriter<W>,
    intake: &mut Intake,
) -> Result<(), Failure> {
    while let Some(change) = intake.next().await? {
        let Change::Put(records) = change else {
            return Err(Failure::Unsupported("remove records from a file".to_owned()));
        };
        writer.write(&records).await.map_err(failure)?;
        if writer.in_progress_size() >= ROW_GROUP {
            writer.flush().await.map_err(failure)?;
        }
    }
    writer.finish().await.map(drop).map_err(failure)
}

/// Either why the file takes no more, as it says itself, or that the records are not as announced.
pub(super) fn failure(error: ParquetError) -> Failure {
    let cause = match error {
        ParquetError::External(cause) => match cause.downcast::<Failure>() {
            Ok(failure) => return *failure,
            Err(cause) => cause,
        },
        other => other.into(),
    };
    Failure::Defect { doing: "write Parquet", source: Some(cause) }
}
