//! The longest of the silences, or delays, of the last weeks, and what follows from them.

use super::super::state::Fields;

/// For how long one is remembered, s: four weeks and one to compare with.
const KEPT_S: u32 = 5 * 604_800;
/// So many of the latest are remembered in any case, however old.
const LATEST: usize = 8;
/// What is expected of the tail: so many silences in a time as long as the remembered one are
/// longer than what is called usual.
const EXCEEDED: f64 = 0.01;

/// A silence, or a delay: when it ended, and how long it was, both s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) end_s: u32,
    pub(super) length_s: u32,
}

impl Span {
    pub(super) fn start_s(self) -> u32 {
        self.end_s.saturating_sub(self.length_s)
    }
}

/// The latest [`LATEST`], and of those that ended within [`KEPT_S`] the longest, up to N in all, in
/// order of time.
#[derive(Clone, Debug)]
pub(super) struct Longest<const N: usize> {
    spans: [Span; N],
    count: u32,
    /// When one was last left out for being too short, s.
    left_out_s: Option<u32>,
    /// What follows from the lengths, with so many accidents; nothing once they have changed.
    known: Option<(usize, Usual)>,
}

/// What lengths are usual, all s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    /// The longest, accidents left out.
    pub(super) longest: f64,
    /// Hardly one will be longer than this.
    pub(super) most: f64,
    /// Half of them do not exceed this.
    pub(super) median: f64,
    /// Nor a quarter, the shortest, this.
    pub(super) lower_quartile: f64,
}

impl<const N: usize> Longest<N> {
    pub(super) fn new() -> Longest<N> {
        Longest { spans: [Span::default(); N], count: 0, left_out_s: None, known: None }
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans[..(self.count as usize).min(N)]
    }

    /// Whether shorter ones than those that are held have been left out.
    pub(super) fn leaves_out(&self, now_s: u32) -> bool {
        self.left_out_s.is_some_and(|left_out_s| now_s.saturating_sub(left_out_s) <= KEPT_S)
    }

    /// Adds one; none that were added before ended later.
    pub(super) fn push(&mut self, span: Span) {
        let mut count = self.spans().len();
        let oldest_s = span.end_s.saturating_sub(KEPT_S);
        let old = self.spans().iter().take(count.saturating_sub(LATEST - 1));
        let old = old.take_while(|span| span.end_s < oldest_s).count();
        self.spans.copy_within(old..count, 0);
        count -= old;
        let mut is_same = false;
        if count == N {
            let spare = self.spans[..N - (LATEST - 1)].iter().enumerate();
            let shortest = spare.min_by_key(|(_, span)| span.length_s).map_or(0, |(at, _)| at);
            // Where samples come evenly, one takes the place of its like.
            is_same = old == 0 && self.spans[shortest].length_s == span.length_s;
            self.spans.copy_within(shortest + 1..N, shortest);
            count -= 1;
            self.left_out_s = Some(span.end_s);
        }
        self.spans[count] = span;
        self.count = count as u32 + 1;
        self.known = self.known.filter(|_| is_same);
    }

    /// Says what lengths are usual, where the longest `accidents` do not count.
    pub(super) fn usual(&mut self, accidents: usize) -> Usual {
        match self.known {
            Some((known_of, usual)) if known_of == accidents => usual,
            _ => {
                let usual = self.sorted().usual(accidents);
                self.known = Some((accidents, usual));
                usual
            }
        }
    }

    fn sorted(&self) -> Sorted<N> {
        let mut lengths = [0; N];
        let count = self.spans().len();
        for (length, span) in lengths.iter_mut().zip(self.spans()) {
            *length = span.length_s;
        }
        lengths[..count].sort_unstable_by(|a, b| b.cmp(a));
        Sorted { lengths, count }
    }

    /// Returns the length that the last two both reached: once is an accident, twice a habit.
    pub(super) fn twice_s(&self) -> u32 {
        match self.spans() {
            [.., before, last] => before.length_s.min(last.length_s),
            _ => 0,
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        for span in &mut self.spans {
            io.u32(&mut span.end_s)?;
            io.u32(&mut span.length_s)?;
        }
        io.u32(&mut self.count)?;
        let mut left_out_s = self.left_out_s.map(i64::from);
        io.option_i64(&mut left_out_s)?;
        self.left_out_s = left_out_s.and_then(|left_out_s| u32::try_from(left_out_s).ok());
        Ok(())
    }
}

/// Lengths, the longest first.
struct Sorted<const N: usize> {
    lengths: [u32; N],
    count: usize,
}

impl<const N: usize> Sorted<N> {
    fn at(&self, rank: usize) -> f64 {
        let held = &self.lengths[..self.count];
        held.get(rank).or(held.last()).map_or(0.0, |length| f64::from(*length))
    }

    /// The k longest, half of all and at most 16, are taken to exceed the next one, u, by
    /// exponentially distributed times: of the n = k - accidents that count, the mean is b = (sum
    /// of excesses + accidents x the largest of them) / n, and a new one exceeds u + y with
    /// probability (1 + y/(n b))^-n, which is set to 0.01 / k. At most half of the k are accidents.
    fn usual(&self, accidents: usize) -> Usual {
        let tail = (self.count / 2).clamp(1, 16);
        let accidents = accidents.min((tail - 1) / 2);
        let (base, longest) = (self.at(tail), self.at(accidents));
        let seen = (tail - accidents) as f64;
        let excess: f64 = (accidents..tail).map(|rank| self.at(rank) - base).sum();
        let sum = excess + accidents as f64 * (longest - base);
        let times = libm::pow(tail as f64 / EXCEEDED, 1.0 / seen) - 1.0;
        Usual {
            longest,
            most: base + sum * times,
            median: self.at(self.count / 2),
            lower_quartile: self.at(self.count * 3 / 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u32 = 86_400;

    #[test]
    fn the_latest_and_the_longest_stay() {
        let mut longest = Longest::<16>::new();
        for k in 1..=200 {
            let length_s = if k % 20 == 0 { 5_000 + k } else { 60 };
            longest.push(Span { end_s: k * 7_200, length_s });
            assert_eq!(longest.usual(1), longest.sorted().usual(1), "what is known is so");
        }
        let lengths: Vec<u32> = longest.spans().iter().map(|span| span.length_s).collect();
        assert_eq!(lengths.len(), 16);
        assert!(lengths.iter().filter(|length| **length > 60).count() >= 9, "{lengths:?}");
        assert_eq!(lengths[9..], [60, 60, 60, 60, 60, 60, 5_200]);
        assert!(longest.spans().is_sorted_by_key(|span| span.end_s));
        assert!(longest.leaves_out(200 * 7_200) && !longest.leaves_out(200 * 7_200 + 36 * DAY_S));
        // Old ones go, but for the latest.
        longest.push(Span { end_s: 200 * 7_200 + 36 * DAY_S, length_s: 36 * DAY_S });
        assert_eq!(longest.spans().len(), LATEST);
    }

    #[test]
    fn the_usual_length_follows_from_the_tail() {
        let of = |lengths: &[u32], accidents| {
            let mut longest = Longest::<64>::new();
            for (end_s, length_s) in (0..).zip(lengths) {
                longest.push(Span { end_s, length_s: *length_s });
            }
            let usual = longest.usual(accidents);
            assert_eq!(usual, longest.sorted().usual(accidents));
            (usual.longest, usual.most)
        };
        // Always the same: nothing longer is usual.
        assert_eq!(of(&[3_600; 30], 0), (3_600.0, 3_600.0));
        // Two outages do not count, one more does.
        let mut outages = [3_600; 30];
        (outages[3], outages[9]) = (9_000, 20_000);
        assert_eq!(of(&outages, 2), (3_600.0, 3_600.0));
        assert!(of(&outages, 1).1 > 9_000.0);
        // Exponential, mean 100: of 48 the 16 longest exceed 110; 1 in 50 exceeds 110 + 100 ln 800.
        let quantile = |k: u32| (-100.0 * libm::log((f64::from(k) + 0.5) / 48.0)) as u32;
        let (_, usual) = of(&(0..48).map(quantile).collect::<Vec<_>>(), 0);
        assert!((800.0..1_100.0).contains(&usual), "{usual}");
    }
}
