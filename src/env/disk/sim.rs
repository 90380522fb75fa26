use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DirEntry, Disk, DiskFile, DiskLock, FileBytes};

/// A disk in memory that fails on demand and can lose power. Clones are the same disk.
///
/// It keeps apart what was written and what was synced, for contents and for names:
/// [`SimDisk::cut_power`] leaves only the latter.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

/// How the simulated disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Creating and appending fail with ENOSPC; all else works.
    NoSpace,
    /// As `NoSpace`, and half of what was to be appended is in the file.
    ShortWrite,
    /// Every call fails with EIO.
    Io,
}

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    /// Names as the process sees them.
    live: BTreeMap<PathBuf, Entry>,
    /// Names that outlive a power cut.
    durable: BTreeMap<PathBuf, Entry>,
    locked: BTreeSet<PathBuf>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    /// `None` says that there is no end to it.
    available: Option<u64>,
}

#[derive(Clone, Copy)]
enum Entry {
    Dir,
    File(usize),
}

#[derive(Default)]
struct Node {
    data: Vec<u8>,
    synced_len: usize,
}

impl SimDisk {
    /// Returns an empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// Returns how many calls there were so far, those that failed included.
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Lets every call fail that comes after `calls` more ones, until [`SimDisk::heal`].
    pub fn fail_after(&self, calls: u64, fault: Fault) {
        let mut state = self.0.lock();
        state.fault = Some((state.calls + calls, fault));
    }

    /// Says how many bytes can still be written, whatever is written; writing goes on all the same.
    pub fn set_available(&self, bytes: u64) {
        self.0.lock().available = Some(bytes);
    }

    /// Ends all failing.
    pub fn heal(&self) {
        self.0.lock().fault = None;
    }

    /// Forgets all that was not synced, and all locks.
    pub fn cut_power(&self) {
        let mut state = self.0.lock();
        let durable = state.durable.clone();
        let reachable = |path: &Path| {
            path.ancestors().skip(1).all(|above| {
                above.parent().is_none() || above == Path::new("") || durable.contains_key(above)
            })
        };
        state.live = durable
            .iter()
            .filter(|(path, _)| reachable(path))
            .map(|(path, entry)| (path.clone(), *entry))
            .collect();
        state.durable = state.live.clone();
        for node in &mut state.nodes {
            node.data.truncate(node.synced_len);
        }
        state.locked.clear();
    }

    /// Changes the content of a file behind everyone's back, as decay does.
    pub fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock();
        let Some(Entry::File(node)) = state.live.get(path).copied() else {
            panic!("{}: no such file on the simulated disk", path.display());
        };
        edit(&mut state.nodes[node].data);
        state.nodes[node].synced_len = state.nodes[node].data.len();
    }

    /// Returns a second disk with the same content, nothing locked and nothing failing.
    #[must_use]
    pub fn copy(&self) -> SimDisk {
        let state = self.0.lock();
        let nodes = state
            .nodes
            .iter()
            .map(|node| Node { data: node.data.clone(), synced_len: node.synced_len })
            .collect();
        let (live, durable) = (state.live.clone(), state.durable.clone());
        SimDisk(Arc::new(Mutex::new(State { nodes, live, durable, ..State::default() })))
    }
}

impl State {
    /// Counts a call and returns the fault it meets.
    fn call(&mut self) -> Option<Fault> {
        self.calls += 1;
        self.fault.filter(|(from, _)| self.calls > *from).map(|(_, fault)| fault)
    }

    /// For calls that need no room.
    fn call_without_room(&mut self) -> io::Result<()> {
        match self.call() {
            Some(Fault::Io) => Err(eio()),
            _ => Ok(()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.live.get(path) {
            Some(Entry::File(node)) => Ok(*node),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn below(&self, dir: &Path) -> Vec<PathBuf> {
        self.live.keys().filter(|path| path.starts_with(dir)).cloned().collect()
    }
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn enospc() -> io::Error {
    io::Error::from_raw_os_error(28)
}

impl Disk for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let missing: Vec<_> = dir
            .ancestors()
            .filter(|above| *above != Path::new("") && !state.live.contains_key(*above))
            .map(Path::to_owned)
            .collect();
        if state.call().is_some() && !missing.is_empty() {
            return Err(enospc());
        }
        for dir in missing {
            state.live.insert(dir, Entry::Dir);
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.0.lock();
        state.call_without_room()?;
        if !matches!(state.live.get(dir), Some(Entry::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entries = state.live.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entries = entries.map(|(path, entry)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match entry {
                Entry::Dir => DirEntry { name, is_dir: true, len_bytes: 0 },
                Entry::File(node) => {
                    let len_bytes = state.nodes[*node].data.len() as u64;
                    DirEntry { name, is_dir: false, len_bytes }
                }
            }
        });
        Ok(entries.collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        match state.call() {
            Some(Fault::Io) => return Err(eio()),
            Some(_) => return Err(enospc()),
            None => {}
        }
        if state.live.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        if parent != Path::new("") && !matches!(state.live.get(parent), Some(Entry::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let node = state.nodes.len();
        state.nodes.push(Node::default());
        state.live.insert(path.to_owned(), Entry::File(node));
        Ok(Arc::new(SimFile { disk: self.clone(), node }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.0.lock();
        state.call_without_room()?;
        let node = state.file(path)?;
        Ok(state.nodes[node].data.clone())
    }

    fn map(&self, path: &Path) -> io::Result<FileBytes> {
        Ok(self.read(path)?.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call_without_room()?;
        if !state.live.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if matches!(state.live.get(to), Some(Entry::Dir)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        for path in state.below(from) {
            let rest = path.strip_prefix(from).expect("it was listed as below `from`");
            let moved = if rest == Path::new("") { to.to_owned() } else { to.join(rest) };
            let entry = state.live.remove(&path).expect("it was listed");
            // What is durable inside a renamed directory stays so under the new name.
            let was_durable = state.durable.contains_key(&path) && path != from;
            if was_durable {
                state.durable.insert(moved.clone(), entry);
            }
            state.live.insert(moved, entry);
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        match state.call() {
            Some(Fault::Io) => return Err(eio()),
            Some(_) => return Err(enospc()),
            None => {}
        }
        if state.live.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = state.file(from)?;
        state.live.insert(to.to_owned(), Entry::File(node));
        Ok(())
    }

    fn available(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.0.lock().available.unwrap_or(u64::MAX))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call_without_room()?;
        state.file(path)?;
        state.live.remove(path);
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call_without_room()?;
        for path in state.below(dir) {
            state.live.remove(&path);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call_without_room()?;
        let here = |path: &Path| path.parent() == Some(dir) || path == dir;
        let live = std::mem::take(&mut state.live);
        state.durable.retain(|path, _| !here(path) || live.contains_key(path));
        for (path, entry) in live.iter().filter(|(path, _)| here(path)) {
            state.durable.insert(path.clone(), *entry);
        }
        state.live = live;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        let mut state = self.0.lock();
        state.call_without_room()?;
        if !state.locked.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(DiskLock(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))))
    }
}

struct SimFile {
    disk: SimDisk,
    node: usize,
}

impl DiskFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let fault = state.call();
        let data = &mut state.nodes[self.node].data;
        match fault {
            None => {
                data.extend_from_slice(bytes);
                Ok(())
            }
            Some(Fault::NoSpace) => Err(enospc()),
            Some(Fault::ShortWrite) => {
                data.extend_from_slice(&bytes[..bytes.len() / 2]);
                Err(enospc())
            }
            Some(Fault::Io) => Err(eio()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.call_without_room()?;
        let node = &mut state.nodes[self.node];
        node.synced_len = node.data.len();
        Ok(())
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.0.lock().locked.remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_leaves_what_was_synced() {
        let disk = SimDisk::new();
        let dir = Path::new("/data");
        disk.create_dir_all(dir).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk.sync_dir(dir).unwrap();
        let kept = disk.create(&dir.join("kept")).unwrap();
        kept.append(b"one").unwrap();
        kept.sync().unwrap();
        kept.append(b"two").unwrap();
        disk.sync_dir(dir).unwrap();
        disk.create(&dir.join("lost")).unwrap().sync().unwrap();
        disk.cut_power();
        assert_eq!(disk.read(&dir.join("kept")).unwrap(), b"one");
        assert!(disk.read(&dir.join("lost")).is_err());
    }

    #[test]
    fn fails_from_the_call_asked_for_until_healed() {
        let disk = SimDisk::new();
        let file = disk.create(Path::new("a")).unwrap();
        disk.fail_after(1, Fault::ShortWrite);
        file.append(b"whole").unwrap();
        assert!(file.append(b"half").is_err());
        assert!(disk.create(Path::new("b")).is_err());
        disk.heal();
        file.append(b"!").unwrap();
        assert_eq!(disk.read(Path::new("a")).unwrap(), b"wholeha!");
    }
}
