use std::sync::Arc;

use hashbrown::HashMap;

use super::{Chunk, Times};
use crate::series::Points;
use crate::store::codec::{self, Effort};

/// So many time columns are known again.
const KNOWN_MAX: usize = 4096;

/// Makes chunks of many series, one after the other, and encodes times that several have once.
pub(in crate::store) struct Encoder {
    effort: Effort,
    count_max: usize,
    /// By first and last time and their number.
    known: HashMap<(i64, i64, usize), KnownTimes>,
}

/// Times and their encoding.
type KnownTimes = (Vec<i64>, Arc<Times>);

impl Encoder {
    /// Returns an encoder that makes chunks of at most `count_max` samples.
    pub(in crate::store) fn new(effort: Effort, count_max: usize) -> Encoder {
        let count_max = count_max.clamp(1, codec::COUNT_MAX);
        Encoder { effort, count_max, known: HashMap::new() }
    }

    /// Makes chunks of a series' samples, floats and histograms apart.
    pub(in crate::store) fn encode(&mut self, points: &Points) -> Vec<Chunk> {
        let count = points.times_ms.len();
        let chunks = count.div_ceil(self.count_max) + usize::from(!points.histograms.is_empty());
        let mut all = Vec::with_capacity(chunks);
        for from in (0..count).step_by(self.count_max) {
            let part = from..(from + self.count_max).min(count);
            let times_ms = &points.times_ms[part.clone()];
            let times = self.times(times_ms);
            let starts_ms = points.starts_ms.get(part.clone()).unwrap_or_default();
            let values = &points.values[part];
            all.push(Chunk::of_floats(times, values, starts_ms, self.effort));
        }
        for part in points.histograms.chunks(self.count_max) {
            let times_ms: Vec<_> = part.iter().map(|point| point.time_ms).collect();
            let times = self.times(&times_ms);
            all.push(Chunk::of_histograms(times, part, self.effort));
        }
        all
    }

    fn times(&mut self, times_ms: &[i64]) -> Arc<Times> {
        let (first, last) = (times_ms[0], times_ms[times_ms.len() - 1]);
        let key = (first, last, times_ms.len());
        if let Some((known, times)) = self.known.get(&key)
            && known == times_ms
        {
            return Arc::clone(times);
        }
        let times = Arc::new(Times::new(times_ms, self.effort));
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(key, (times_ms.to_vec(), Arc::clone(&times)));
        times
    }
}
