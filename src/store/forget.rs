use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use hashbrown::HashMap;

use crate::series::{Labels, SeriesId};

/// A time between two rounds of forgetting. A transaction holds the one that it began in.
pub(super) struct Epoch {
    pub(super) number: u64,
}

/// Counts the rounds in which series were forgotten.
pub(super) struct Epochs(ArcSwap<Epoch>);

impl Epochs {
    pub(super) fn new() -> Epochs {
        Epochs(ArcSwap::from_pointee(Epoch { number: 0 }))
    }

    pub(super) fn current(&self) -> Arc<Epoch> {
        self.0.load_full()
    }

    /// Ends the present epoch and returns a witness that lives as long as any transaction of it.
    fn advance(&self) -> Weak<Epoch> {
        let number = self.current().number + 1;
        Arc::downgrade(&self.0.swap(Arc::new(Epoch { number })))
    }
}

/// The labels of forgotten series for as long as a transaction may still name their ids.
#[derive(Default)]
pub(super) struct Forgotten {
    rounds: Vec<(Weak<Epoch>, HashMap<SeriesId, Labels>)>,
}

impl Forgotten {
    /// Returns the labels that an id had.
    pub(super) fn labels(&self, id: SeriesId) -> Option<&Labels> {
        self.rounds.iter().find_map(|(_, series)| series.get(&id))
    }

    /// Takes in the series of one round, after they were forgotten.
    pub(super) fn add(&mut self, epochs: &Epochs, series: HashMap<SeriesId, Labels>) {
        // A transaction of an older epoch holds that one, so nothing between may be purged either:
        // the witness of a round is dead only when all older transactions are over.
        self.rounds.push((epochs.advance(), series));
    }

    /// Drops the rounds that no transaction can name any more.
    pub(super) fn purge(&mut self) {
        while self.rounds.first().is_some_and(|(epoch, _)| epoch.strong_count() == 0) {
            self.rounds.remove(0);
        }
    }
}
