//! A simulated disk that tells of its calls.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forewarn::env::{DirEntry, Disk, DiskFile, DiskLock, FileBytes, SimDisk};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Told of once it is done.
    Appended,
    /// Told of before it is done, as the others are.
    Sync,
    Other,
}

type Hook = dyn Fn(&Path, Call) + Send + Sync;

#[derive(Clone)]
pub(super) struct HookedDisk {
    disk: SimDisk,
    hook: Arc<Hook>,
}

struct HookedFile {
    path: PathBuf,
    hook: Arc<Hook>,
    file: Arc<dyn DiskFile>,
}

impl HookedDisk {
    pub(super) fn new(
        disk: &SimDisk,
        hook: impl Fn(&Path, Call) + Send + Sync + 'static,
    ) -> HookedDisk {
        HookedDisk { disk: disk.clone(), hook: Arc::new(hook) }
    }

    fn tell(&self, path: &Path) -> &SimDisk {
        (self.hook)(path, Call::Other);
        &self.disk
    }
}

impl DiskFile for HookedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        (self.hook)(&self.path, Call::Appended);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        (self.hook)(&self.path, Call::Sync);
        self.file.sync()
    }
}

impl Disk for HookedDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.tell(path).create(path)?;
        Ok(Arc::new(HookedFile { path: path.to_owned(), hook: Arc::clone(&self.hook), file }))
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.tell(dir).create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.tell(dir).list(dir)
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.tell(path).read(path)
    }
    fn map(&self, path: &Path) -> io::Result<FileBytes> {
        self.tell(path).map(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tell(from).rename(from, to)
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tell(from).link(from, to)
    }
    fn available(&self, dir: &Path) -> io::Result<u64> {
        self.disk.available(dir)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.tell(path).remove_file(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.tell(dir).remove_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.tell(dir).sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        self.disk.lock(path)
    }
}
