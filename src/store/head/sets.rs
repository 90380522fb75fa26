//! The label sets of the head, as lists of pair numbers in one array.

use super::pairs::PairId;

/// A place in [`Sets`].
#[derive(Clone, Copy)]
pub(super) struct Set {
    at: u32,
    len: u16,
}

impl Set {
    pub(super) const EMPTY: Set = Set { at: 0, len: 0 };
}

/// All label sets.
#[derive(Default)]
pub(super) struct Sets {
    ids: Vec<PairId>,
    /// Places that were given back, by their length.
    free: Vec<Vec<u32>>,
}

impl Sets {
    pub(super) fn insert(&mut self, ids: &[PairId]) -> Set {
        let len = ids.len() as u16;
        if let Some(at) = self.free.get_mut(ids.len()).and_then(Vec::pop) {
            self.ids[at as usize..][..ids.len()].copy_from_slice(ids);
            return Set { at, len };
        }
        let at = self.ids.len() as u32;
        self.ids.extend_from_slice(ids);
        Set { at, len }
    }

    /// Makes room for so many more sets of a usual length.
    pub(super) fn reserve(&mut self, count: usize) {
        self.ids.reserve(count * 8);
    }

    pub(super) fn get(&self, set: Set) -> &[PairId] {
        &self.ids[set.at as usize..][..set.len as usize]
    }

    pub(super) fn remove(&mut self, set: Set) {
        let len = set.len as usize;
        if self.free.len() <= len {
            self.free.resize_with(len + 1, Vec::new);
        }
        if len > 0 {
            self.free[len].push(set.at);
        }
    }
}
