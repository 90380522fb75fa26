//! Two workers, so that a machine of two cores is busy and one with more gives the same times.

use std::sync::atomic::{AtomicUsize, Ordering};

const WORKERS: usize = 2;

/// Works on all items and returns what came of them, in their order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers = [(); WORKERS].map(|()| scope.spawn(worker));
        workers.into_iter().flat_map(|one| one.join().expect("a worker panicked")).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
