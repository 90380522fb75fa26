use std::fs::File;
use std::io;

use memmap2::Mmap;

/// Maps a sealed file.
#[expect(unsafe_code, reason = "memory-maps sealed files")]
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file is sealed: opened read-only, under our directory lock, and no code path of
    // ours truncates or rewrites a sealed file; removal is unlink, which keeps mapped pages alive.
    // A foreign process that truncates it can still raise SIGBUS; README says so.
    unsafe { Mmap::map(file) }
}
