use super::floats::Floats;
use super::transaction::{NamedSeries, add_to_check};

/// A damaged record must not ask for endless numbers: records between may have named this many.
const NUMBER_GAP_MAX: usize = 1 << 22;

/// Makes values of the differences that a segment has.
#[derive(Default)]
pub(super) struct Differences {
    /// The newest value of each series, by its number.
    bases: Vec<u64>,
    /// The bases that the present section has moved, as they were, row by row.
    undo: Vec<u64>,
    /// Samples that are differences to others which cannot be read.
    pub(super) baseless: u64,
}

impl Differences {
    /// Begins a segment, which stands by itself.
    pub(super) fn begin(&mut self) {
        self.bases.clear();
    }

    /// Takes note of series that are named.
    pub(super) fn name(&mut self, named: &NamedSeries) {
        let end = named.first as usize + named.series.len();
        if end <= self.bases.len() + NUMBER_GAP_MAX && self.bases.len() < end {
            self.bases.resize(end, 0);
        }
    }

    /// Makes values of differences. Where the check says that they are not the right ones, because
    /// a record before was lost, there are no rows left.
    pub(super) fn undo(&mut self, floats: &mut Floats, check: u32) {
        self.undo.clear();
        let mut found = 0;
        for (series, bits) in floats.series.iter().zip(&mut floats.bits) {
            let Some(base) = self.bases.get_mut(*series as usize) else { break };
            self.undo.push(*base);
            *bits ^= *base;
            *base = *bits;
            found = add_to_check(found, *bits);
        }
        if found == check && self.undo.len() == floats.len() {
            return;
        }
        for (number, base) in floats.series.iter().zip(self.undo.drain(..)).rev() {
            self.bases[*number as usize] = base;
        }
        self.baseless += floats.len() as u64;
        *floats = Floats::default();
    }
}
