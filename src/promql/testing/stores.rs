//! The stores of a script: what was loaded lies in the head of one and in a block of the other.

use std::sync::Arc;

use super::load::Load;
use crate::env::{Clock, ManualClock, SimDisk};
use crate::series::{Labels, Matcher, TimeRange};
use crate::store::{Store, StoreOptions, WalSync};

/// Data far apart in time is loaded in any order of series: upstream's test storage spans a day.
const HEAD_RANGE_MS: i64 = 24 * 3_600_000;

pub(super) struct Stores {
    clock: Arc<ManualClock>,
    loads: Vec<Load>,
    pub(super) in_head: Store,
    /// Made when it is asked for.
    in_block: Option<Store>,
}

impl Stores {
    pub(super) fn new(clock: Arc<ManualClock>) -> Stores {
        let in_head = empty(&clock);
        Stores { clock, loads: Vec::new(), in_head, in_block: None }
    }

    pub(super) fn clear(&mut self) {
        *self = Stores::new(Arc::clone(&self.clock));
    }

    pub(super) fn load(&mut self, load: Load) -> Result<(), String> {
        self.in_block = None;
        load.store(&self.in_head)?;
        self.loads.push(load);
        Ok(())
    }

    /// Returns a store with all that was loaded in a block, and nothing in its head.
    pub(super) fn in_block(&mut self) -> Result<&Store, String> {
        let store = match self.in_block.take() {
            Some(store) => store,
            None => self.cut()?,
        };
        Ok(self.in_block.insert(store))
    }

    /// Returns another store with all that was loaded.
    pub(super) fn copy(&self) -> Result<Store, String> {
        let store = empty(&self.clock);
        self.loads.iter().try_for_each(|load| load.store(&store))?;
        Ok(store)
    }

    fn cut(&self) -> Result<Store, String> {
        let store = self.copy()?;
        // One more sample, late enough that all others are cut.
        let name = "the_last_sample";
        let mut appender = store.appender();
        let mut transaction = appender.begin();
        let last = transaction.series(None, &Labels::from_pairs([("__name__", name)]));
        transaction.sample(last, self.clock.now_ms(), 0.0, 0);
        transaction.commit().map_err(|error| error.to_string())?;
        let cut = store.maintain();
        cut.and_then(|()| store.delete_series(&[Matcher::equal("__name__", name)], TimeRange::ALL))
            .map_err(|error| error.to_string())?;
        Ok(store)
    }
}

fn empty(clock: &Arc<ManualClock>) -> Store {
    let options = StoreOptions {
        out_of_order_window_ms: 0,
        block_range_ms: HEAD_RANGE_MS,
        retention_ms: i64::MAX / 4,
        wal_sync: WalSync::OnClose,
        ..StoreOptions::default()
    };
    Store::open(options, Arc::new(SimDisk::new()), clock.clone())
        .expect("an empty simulated disk that does not fail opens")
}
