//! Files and directories as the store uses them.
//!
//! Written files are append-only and never overwritten in place: a file is created, appended to,
//! synced, and from then on only read, renamed or removed. That is all a store needs, and it keeps
//! the difference between "written" and "synced" easy to simulate.

mod map;
mod real;
mod sim;

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;
pub use sim::{Fault, SimDisk};

/// A place for files. What a call has written is only safe from a power cut after `sync` of the
/// file and, for its name, [`Disk::sync_dir`] of its directory.
pub trait Disk: Send + Sync {
    /// Creates a directory and those above it; no error when it is there.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Lists a directory, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates a file to append to; an error when the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Reads a whole file into memory.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Lends the content of a sealed file, without reading it all where the system can map it. The
    /// caller promises that nobody writes to the file any more.
    fn map(&self, path: &Path) -> io::Result<FileBytes>;

    /// Renames a file, which replaces one of the new name, or a directory, whose new name must be
    /// free.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a sealed file a second name on the same file system.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Returns how many bytes can still be written below a directory.
    fn available(&self, dir: &Path) -> io::Result<u64>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all below it.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory safe from a power cut.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Locks a file (created where missing) against other processes until the guard is dropped;
    /// `None` when another one holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>>;
}

/// A file that is being written.
pub trait DiskFile: Send + Sync {
    /// Appends all bytes. After an error any part of them may be in the file.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was appended safe from a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// A file or directory found by [`Disk::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name, without the directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Its length; 0 for directories.
    pub len_bytes: u64,
}

/// Holds a lock until dropped.
pub struct DiskLock(#[expect(dead_code, reason = "dropping it unlocks")] Box<dyn Send + Sync>);

/// The content of a sealed file; cloning is one counter.
#[derive(Clone)]
pub struct FileBytes(Bytes);

#[derive(Clone)]
enum Bytes {
    Mapped(Arc<memmap2::Mmap>),
    Memory(Arc<[u8]>),
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> FileBytes {
        FileBytes(Bytes::Memory(bytes.into()))
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}
