//! `wal.sync=ack`: what is acknowledged is synced, and one sync serves all that wait.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam::channel::{Receiver, Sender, bounded};
use forewarn::env::{DirEntry, DiskFile, DiskLock, FileBytes};

use super::*;

/// A disk that tells of appends and syncs, and whose syncs wait to be let go.
#[derive(Clone)]
struct Gate {
    disk: SimDisk,
    is_closed: Arc<AtomicBool>,
    syncs: Arc<AtomicUsize>,
    appended: Sender<()>,
    syncing: Sender<()>,
    go: Receiver<()>,
}

struct GateFile {
    gate: Gate,
    file: Arc<dyn DiskFile>,
}

impl DiskFile for GateFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        if self.gate.is_closed.load(Ordering::SeqCst) {
            self.gate.appended.send(()).unwrap();
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.gate.is_closed.load(Ordering::SeqCst) {
            self.gate.syncs.fetch_add(1, Ordering::SeqCst);
            self.gate.syncing.send(()).unwrap();
            self.gate.go.recv().unwrap();
        }
        self.file.sync()
    }
}

impl Disk for Gate {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(path)?;
        Ok(Arc::new(GateFile { gate: self.clone(), file }))
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }
    fn map(&self, path: &Path) -> io::Result<FileBytes> {
        self.disk.map(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(from, to)
    }
    fn available(&self, dir: &Path) -> io::Result<u64> {
        self.disk.available(dir)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        self.disk.lock(path)
    }
}

#[test]
fn those_who_wait_for_a_sync_share_the_next_one() {
    let mut place = Place::new();
    place.options.wal_sync = WalSync::Ack;
    let ((appended, appends), (syncing, syncs), (let_go, go)) =
        (bounded(64), bounded(64), bounded(64));
    let gate = Gate {
        disk: place.disk.clone(),
        is_closed: Arc::default(),
        syncs: Arc::default(),
        appended,
        syncing,
        go,
    };
    let store =
        Store::open(place.options.clone(), Arc::new(gate.clone()), place.clock.clone()).unwrap();
    gate.is_closed.store(true, Ordering::SeqCst);
    let all: Vec<_> = (0..5).map(|n| labels("m", n)).collect();
    let acknowledged = AtomicUsize::new(0);
    let commit = |labels: &Labels| {
        write(&store, &[(labels, T0, 1.0)]).unwrap();
        acknowledged.fetch_add(1, Ordering::SeqCst);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| commit(&all[0]));
        appends.recv().unwrap();
        syncs.recv().unwrap();
        // While that one is synced four more are written, one of them known already.
        for labels in &all[1..4] {
            scope.spawn(|| commit(labels));
            appends.recv().unwrap();
        }
        scope.spawn(|| commit(&all[3]));
        assert_eq!(acknowledged.load(Ordering::SeqCst), 0);
        let_go.send(()).unwrap();
        syncs.recv().unwrap();
        assert!(acknowledged.load(Ordering::SeqCst) <= 1, "the others are not synced yet");
        let_go.send(()).unwrap();
    });
    assert_eq!(gate.syncs.load(Ordering::SeqCst), 2);
    gate.is_closed.store(false, Ordering::SeqCst);
    drop(store);
    place.disk.cut_power();
    assert_eq!(read(&place.open()).len(), 4);
}

#[test]
fn after_a_sync_that_failed_a_checkpoint_makes_good_what_the_disk_may_lack() {
    let mut place = Place::new();
    place.options.wal_sync = WalSync::Ack;
    let store = place.open();
    let a = labels("a", 1);
    write(&store, &[(&a, T0, 1.0)]).unwrap();
    place.disk.fail_after(1, Fault::Io); // the write is taken, the sync is not
    let error = write(&store, &[(&a, T0 + 1, 2.0)]).unwrap_err();
    assert!(matches!(error, AppendError::Sync { .. }), "{error}");
    assert!(error.to_string().contains("not safe from a power cut"), "{error}");
    place.disk.heal();
    place.clock.advance(HOUR);

    // To acknowledge it now, because it is known, would be to promise what the disk may not have.
    let error = write(&store, &[(&a, T0 + 1, 2.0)]).unwrap_err();
    assert!(matches!(error, AppendError::Refusing { .. }), "{error}");
    store.checkpoint_if_due().unwrap();
    write(&store, &[(&a, T0 + 1, 2.0), (&a, T0 + 2, 3.0)]).unwrap();
    drop(store);
    place.disk.cut_power();
    check(&place.open(), &[(&a, &[(T0, 1.0), (T0 + 1, 2.0), (T0 + 2, 3.0)])]);
}
