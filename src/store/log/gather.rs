//! Floats gathered over many transactions and sorted by series, so that replay goes to each series
//! once for many samples instead of once for each.

use super::floats::Floats;
use super::transaction::{Number, Section};

/// So many floats are gathered before they are handed on.
const ROWS_MAX: usize = 1 << 19;

/// Hands sections on, those of floats that came in order gathered.
pub(super) struct Gather<'a> {
    visit: &'a mut dyn FnMut(Section),
    parts: Vec<Floats>,
    count: usize,
}

/// Floats that came in order, by ascending numbers of series, those of each in the order in which
/// they came.
#[derive(Debug, Default)]
pub(in crate::store) struct Sorted {
    /// By the number of a series, where its rows end, and those of the next one begin.
    ends: Vec<u32>,
    times_ms: Vec<i64>,
    bits: Vec<u64>,
    /// Empty when none has one.
    starts_ms: Vec<i64>,
}

/// Floats of one series, in columns, of which there is one.
#[derive(Clone, Copy)]
pub(in crate::store) struct Run<'a> {
    pub(in crate::store) times_ms: &'a [i64],
    pub(in crate::store) bits: &'a [u64],
    /// Start timestamps; empty when none has one.
    pub(in crate::store) starts_ms: &'a [i64],
}

impl<'a> Gather<'a> {
    pub(super) fn new(visit: &'a mut dyn FnMut(Section)) -> Gather<'a> {
        Gather { visit, parts: Vec::new(), count: 0 }
    }

    pub(super) fn take(&mut self, section: Section) {
        match section {
            Section::Floats(floats, _) => {
                self.count += floats.len();
                self.parts.push(floats);
                if self.count >= ROWS_MAX {
                    self.finish();
                }
            }
            // What these say is not about samples.
            Section::Series(_) | Section::Metadata(_) => (self.visit)(section),
            _ => {
                self.finish();
                (self.visit)(section);
            }
        }
    }

    /// Hands on what was gathered.
    pub(super) fn finish(&mut self) {
        if self.count > 0 {
            (self.visit)(Section::Sorted(Sorted::new(&self.parts, self.count)));
            self.parts.clear();
            self.count = 0;
        }
    }
}

impl Sorted {
    fn new(parts: &[Floats], count: usize) -> Sorted {
        let numbers = || parts.iter().flat_map(|part| part.series.iter());
        let number_count = numbers().max().map_or(0, |max| *max as usize + 1);
        // First where the rows of each series begin, one place further on.
        let mut ends = vec![0u32; number_count + 1];
        for number in numbers() {
            ends[*number as usize + 1] += 1;
        }
        for number in 1..=number_count {
            ends[number] += ends[number - 1];
        }
        let any_start = parts.iter().any(|part| !part.starts_ms.is_empty());
        let (mut times_ms, mut bits) = (vec![0; count], vec![0; count]);
        let mut starts_ms = vec![0; if any_start { count } else { 0 }];
        for part in parts {
            for (at, number) in part.series.iter().enumerate() {
                let place = ends[*number as usize] as usize;
                ends[*number as usize] += 1;
                times_ms[place] = part.times_ms[at];
                bits[place] = part.bits[at];
                if let Some(start_ms) = part.starts_ms.get(at) {
                    starts_ms[place] = *start_ms;
                }
            }
        }
        ends.pop();
        Sorted { ends, times_ms, bits, starts_ms }
    }

    pub(in crate::store) fn runs(&self) -> impl Iterator<Item = (Number, Run<'_>)> {
        let mut from = 0;
        (0..).zip(&self.ends).filter_map(move |(number, end)| {
            let rows = from..*end as usize;
            from = rows.end;
            let starts_ms = self.starts_ms.get(rows.clone()).unwrap_or_default();
            let (times_ms, bits) = (&self.times_ms[rows.clone()], &self.bits[rows.clone()]);
            (!rows.is_empty()).then_some((number, Run { times_ms, bits, starts_ms }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_by_series_each_in_order_and_before_what_depends_on_them() {
        let floats = |rows: &[(Number, i64)], starts: bool| Floats {
            series: rows.iter().map(|row| row.0).collect(),
            times_ms: rows.iter().map(|row| row.1).collect(),
            bits: rows.iter().map(|row| row.1 as u64).collect(),
            starts_ms: rows.iter().map(|row| -row.1).filter(|_| starts).collect(),
        };
        let mut found = Vec::new();
        let mut visit = |section| match section {
            Section::Sorted(sorted) => {
                for (number, run) in sorted.runs() {
                    found.push((number, run.times_ms.to_vec(), run.starts_ms.to_vec()));
                }
            }
            _ => found.push((99, Vec::new(), Vec::new())),
        };
        let mut gather = Gather::new(&mut visit);
        gather.take(Section::Floats(floats(&[(5, 1), (2, 2), (5, 3)], false), 0));
        gather.take(Section::Floats(floats(&[(2, 4), (0, 5)], true), 0));
        gather.take(Section::Deleted(Vec::new()));
        gather.take(Section::Floats(floats(&[(1, 6)], false), 0));
        gather.finish();
        gather.finish();
        let expected = [
            (0, vec![5], vec![-5]),
            (2, vec![2, 4], vec![0, -4]),
            (5, vec![1, 3], vec![0, 0]),
            (99, vec![], vec![]),
            (1, vec![6], vec![]),
        ];
        assert_eq!(found, expected);
    }
}
