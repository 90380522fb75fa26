use hashbrown::HashMap;
use roaring::RoaringBitmap;

use super::Slot;
use crate::series::Labels;
use crate::store::ReadError;
use crate::store::postings::LabelIndex;

/// Which series of the head have which label; names and values in no order.
#[derive(Default)]
pub(in crate::store) struct HeadIndex {
    names: HashMap<Box<str>, HashMap<Box<str>, RoaringBitmap>>,
    all: RoaringBitmap,
}

impl HeadIndex {
    pub(in crate::store) fn insert(&mut self, slot: Slot, labels: &Labels) {
        self.all.insert(slot);
        for (name, value) in labels {
            let values = self.names.entry_ref(name).or_default();
            values.entry_ref(value).or_default().insert(slot);
        }
    }

    pub(in crate::store) fn remove(&mut self, slot: Slot, labels: &Labels) {
        self.all.remove(slot);
        for (name, value) in labels {
            let Some(values) = self.names.get_mut(name) else { continue };
            if let Some(posting) = values.get_mut(value) {
                posting.remove(slot);
                if posting.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Iterates over names and, for each, the values with their series.
    pub(in crate::store) fn iter(
        &self,
    ) -> impl Iterator<Item = (&str, &HashMap<Box<str>, RoaringBitmap>)> {
        self.names.iter().map(|(name, values)| (&**name, values))
    }
}

impl LabelIndex for HeadIndex {
    fn all(&self) -> Result<RoaringBitmap, ReadError> {
        Ok(self.all.clone())
    }

    fn posting(&self, name: &str, value: &str) -> Result<Option<RoaringBitmap>, ReadError> {
        Ok(self.names.get(name).and_then(|values| values.get(value)).cloned())
    }

    fn union_where(
        &self,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<RoaringBitmap, ReadError> {
        let mut union = RoaringBitmap::new();
        for (value, posting) in self.names.get(name).into_iter().flatten() {
            if wanted(value) {
                union |= posting;
            }
        }
        Ok(union)
    }

    fn for_each_name(&self, visit: &mut dyn FnMut(&str)) -> Result<(), ReadError> {
        self.names.keys().for_each(|name| visit(name));
        Ok(())
    }

    fn for_each_value(&self, name: &str, visit: &mut dyn FnMut(&str)) -> Result<(), ReadError> {
        self.names.get(name).into_iter().flatten().for_each(|(value, _)| visit(value));
        Ok(())
    }
}
