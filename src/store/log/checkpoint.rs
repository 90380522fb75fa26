use std::io;
use std::path::Path;

use super::{MAGIC_CHECKPOINT, checkpoint_name, header, record};
use crate::env::Disk;

/// Writes a checkpoint that stands for all segments before `number`, and removes the older ones.
/// Each payload becomes a record.
pub(in crate::store) fn write_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    created_ms: i64,
    payloads: &mut dyn FnMut(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
) -> io::Result<()> {
    let name = checkpoint_name(number);
    let temporary = dir.join(format!("{name}.tmp"));
    if disk.list(dir)?.iter().any(|entry| entry.name == format!("{name}.tmp")) {
        disk.remove_file(&temporary)?;
    }
    let file = disk.create(&temporary)?;
    file.append(&header(MAGIC_CHECKPOINT, created_ms, u64::MAX, 0))?;
    let mut scratch = Vec::new();
    payloads(&mut |payload| {
        scratch.clear();
        record::put_record(&mut scratch, record::TRANSACTION, payload);
        file.append(&scratch)
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
