//! Work that is shared out to the processors that nothing else needs.
//!
//! A large query takes a second lane, and a third, as long as there are processors without a query;
//! it gives them up, batch by batch, when other queries come. What comes out does not depend on how
//! many there were.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::Answer;

/// The processors that queries run on.
#[derive(Debug)]
pub(in crate::promql) struct Lanes {
    /// One for each processor.
    count: usize,
    /// Those that a query is on. May be more than there are.
    taken: AtomicUsize,
}

/// A lane that is given back when this is dropped.
pub(in crate::promql) struct Lane<'a>(&'a Lanes);

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    pub(in crate::promql) fn new() -> Lanes {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Lanes { count, taken: AtomicUsize::new(0) }
    }

    /// Takes the lane of a query itself, which it gets in any case.
    pub(in crate::promql) fn enter(&self) -> Lane<'_> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Lane(self)
    }

    fn take_spare(&self) -> Option<Lane<'_>> {
        let one_more = |taken| (taken < self.count).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| Lane(self))
    }

    fn is_crowded(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > self.count
    }

    /// Calls `work` for every batch from 0 to `count`, each lane with a scratch of its own, and
    /// returns what it made in the order of the batches. Further lanes are taken while
    /// `is_worth_it`.
    pub(super) fn run<S: Default, T: Send>(
        &self,
        count: usize,
        is_worth_it: &dyn Fn() -> bool,
        work: &(dyn Fn(&mut S, usize) -> Answer<Vec<T>> + Sync),
    ) -> Answer<Vec<T>> {
        let batches = Batches { next: AtomicUsize::new(0), count, made: Mutex::default() };
        std::thread::scope(|scope| {
            let mut scratch = S::default();
            while batches.work_on_one(&mut scratch, work) {
                if batches.left() < 2 || !is_worth_it() {
                    continue;
                }
                if let Some(lane) = self.take_spare() {
                    let batches = &batches;
                    let help = move || {
                        let mut scratch = S::default();
                        while !self.is_crowded() && batches.work_on_one(&mut scratch, work) {}
                        drop(lane);
                    };
                    // Where the machine has no thread to give, there is one lane less.
                    let _ = std::thread::Builder::new().spawn_scoped(scope, help);
                }
            }
        });
        batches.finish()
    }
}

struct Batches<T> {
    next: AtomicUsize,
    count: usize,
    /// By batch.
    made: Mutex<Vec<(usize, Answer<Vec<T>>)>>,
}

impl<T> Batches<T> {
    fn left(&self) -> usize {
        self.count.saturating_sub(self.next.load(Ordering::Relaxed))
    }

    /// Returns whether there was one left. After a failure there is none.
    fn work_on_one<S>(
        &self,
        scratch: &mut S,
        work: &(dyn Fn(&mut S, usize) -> Answer<Vec<T>> + Sync),
    ) -> bool {
        let one_more = |next| (next < self.count).then_some(next + 1);
        let Ok(batch) = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
        else {
            return false;
        };
        let made = work(scratch, batch);
        if made.is_err() {
            self.next.store(self.count, Ordering::Relaxed);
        }
        self.made.lock().push((batch, made));
        true
    }

    fn finish(self) -> Answer<Vec<T>> {
        let mut batches = self.made.into_inner();
        batches.sort_unstable_by_key(|(batch, _)| *batch);
        let mut all = Vec::new();
        for (_, made) in batches {
            let mut made = made?;
            if all.is_empty() {
                all = made;
            } else {
                all.append(&mut made);
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::engine::QueryError;
    use std::collections::HashSet;
    use std::sync::Barrier;

    fn lanes(count: usize) -> Lanes {
        Lanes { count, taken: AtomicUsize::new(0) }
    }

    #[test]
    fn what_two_lanes_make_comes_in_order_and_the_lane_is_given_back() {
        let lanes = lanes(2);
        let _query = lanes.enter();
        let (both, threads) = (Barrier::new(2), Mutex::new(HashSet::new()));
        let work = |seen: &mut usize, batch: usize| {
            // The second and the third batch wait for one another, so there are two lanes.
            if batch == 1 || batch == 2 {
                both.wait();
            }
            *seen += 1;
            threads.lock().insert(std::thread::current().id());
            Ok(vec![batch * 2, batch * 2 + 1])
        };
        let made = lanes.run::<usize, _>(100, &|| true, &work).unwrap();
        assert_eq!(made, (0..200).collect::<Vec<_>>());
        assert!(threads.lock().len() >= 2);
        assert_eq!(lanes.taken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_crowd_leaves_one_lane_to_each() {
        let lanes = lanes(2);
        let _queries = (lanes.enter(), lanes.enter());
        let here = std::thread::current().id();
        let work = |(): &mut (), batch: usize| {
            assert_eq!(std::thread::current().id(), here);
            Ok(vec![batch])
        };
        assert_eq!(lanes.run(50, &|| true, &work).unwrap(), (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_failure_ends_the_work() {
        let lanes = lanes(1);
        let done = AtomicUsize::new(0);
        let work = |(): &mut (), batch: usize| {
            done.fetch_add(1, Ordering::Relaxed);
            if batch == 3 { Err(QueryError::Canceled) } else { Ok(vec![batch]) }
        };
        assert!(matches!(lanes.run(1000, &|| true, &work), Err(QueryError::Canceled)));
        assert_eq!(done.into_inner(), 4);
    }
}
