use std::io;
use std::path::Path;

use super::{MAGIC_CHECKPOINT, TransactionWriter, checkpoint_name, header, record};
use crate::env::Disk;
use crate::series::Labels;
use crate::store::TEMPORARY;
use crate::store::types::{Exemplar, MetricMetadata};

/// Rows in one record of a checkpoint.
const ROWS: usize = 1024;

/// What a checkpoint keeps of the segments it stands for.
pub(in crate::store) struct Living {
    pub(in crate::store) exemplars: Vec<(Labels, Vec<Exemplar>)>,
    pub(in crate::store) metadata: Vec<(String, MetricMetadata)>,
}

/// Writes a checkpoint that stands for all segments before `number`, and removes older ones.
pub(in crate::store) fn write_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    created_ms: i64,
    living: &Living,
) -> io::Result<()> {
    let name = checkpoint_name(number);
    let temporary_name = format!("{name}{TEMPORARY}");
    let temporary = dir.join(&temporary_name);
    if disk.list(dir)?.iter().any(|entry| entry.name == temporary_name) {
        disk.remove_file(&temporary)?;
    }
    let file = disk.create(&temporary)?;
    file.append(&header(MAGIC_CHECKPOINT, created_ms, u64::MAX, 0))?;
    let mut bytes = Vec::new();
    living.for_each_payload(&mut |payload| {
        bytes.clear();
        record::put_record(&mut bytes, record::TRANSACTION, payload);
        file.append(&bytes)
    })?;
    file.sync()?;
    disk.rename(&temporary, &dir.join(&name))?;
    disk.sync_dir(dir)?;
    for entry in disk.list(dir)? {
        let older = entry.name.strip_suffix(".checkpoint").and_then(|n| n.parse::<u64>().ok());
        if older.is_some_and(|older| older < number) {
            disk.remove_file(&dir.join(&entry.name))?;
        }
    }
    Ok(())
}

impl Living {
    fn for_each_payload(&self, put: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut record = TransactionWriter::default();
        for (part, owners) in self.exemplars.chunks(ROWS).enumerate() {
            let first = (part * ROWS) as u32;
            record.clear();
            let pairs: Vec<_> = owners.iter().flat_map(|(labels, _)| labels).collect();
            let mut next = 0;
            let sets: Vec<Vec<u32>> = owners
                .iter()
                .map(|(labels, _)| labels.iter().map(|_| (next, next += 1).0).collect())
                .collect();
            record.series(first, sets.iter().map(Vec::as_slice), |pair| pairs[pair as usize]);
            let numbered = owners.iter().zip(first..);
            record.exemplars(
                numbered.flat_map(|((_, all), number)| all.iter().map(move |one| (number, one))),
            );
            put(record.payload())?;
        }
        for metadata in self.metadata.chunks(ROWS) {
            record.clear();
            record.metadata(metadata.iter().map(|(name, known)| (name.as_str(), known)));
            put(record.payload())?;
        }
        Ok(())
    }
}
