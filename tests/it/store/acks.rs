//! `wal.sync=ack`: what is acknowledged is synced, and one sync serves all that wait.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::hooked::{Call, HookedDisk};
use super::*;

/// Tells of appends and syncs, and has syncs wait until they are let go.
#[derive(Clone)]
struct Gate {
    is_closed: Arc<AtomicBool>,
    syncs: Arc<AtomicUsize>,
    appended: Sender<()>,
    syncing: Sender<()>,
    go: Receiver<()>,
}

impl Gate {
    fn pass(&self, call: Call) {
        if !self.is_closed.load(Ordering::SeqCst) {
            return;
        }
        match call {
            Call::Appended => self.appended.send(()).unwrap(),
            Call::Sync => {
                self.syncs.fetch_add(1, Ordering::SeqCst);
                self.syncing.send(()).unwrap();
                self.go.recv().unwrap();
            }
            Call::Other => {}
        }
    }
}

#[test]
fn those_who_wait_for_a_sync_share_the_next_one() {
    let mut place = Place::new();
    place.options.wal_sync = WalSync::Ack;
    let ((appended, appends), (syncing, syncs), (let_go, go)) =
        (bounded(64), bounded(64), bounded(64));
    let gate = Gate { is_closed: Arc::default(), syncs: Arc::default(), appended, syncing, go };
    let passed = gate.clone();
    let disk = HookedDisk::new(&place.disk, move |_, call| passed.pass(call));
    let store = Store::open(place.options.clone(), Arc::new(disk), place.clock.clone()).unwrap();
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
