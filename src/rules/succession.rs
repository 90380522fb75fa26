//! When one series takes the place of another: a restarted pod, a replaced exporter.
//!
//! What is followed is only who is there at the learning instants, so that whoever follows the same
//! instants, live or from the store, sees the same successions.

use std::collections::{BTreeMap, BTreeSet};

use super::kinship::{FORGET_AFTER_MS, Kinship};
use crate::series::Labels;

/// How long before or after one ends the other may begin.
const HANDOVER_MS: i64 = 5 * 60_000;

/// One series took over from another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Handover {
    /// From this learning instant on, ms.
    pub(super) at_ms: i64,
    pub(super) from: Labels,
    pub(super) to: Labels,
}

/// Follows who is there, and tells who takes over from whom: a series that begins within five
/// minutes before or after another of its identity ended, with no third one there.
#[derive(Clone, Debug)]
pub(super) struct Succession {
    identity: Kinship,
    window_ms: i64,
    step_ms: i64,
    /// By what the series have in common.
    groups: BTreeMap<Labels, BTreeMap<Labels, Span>>,
    /// The last instant followed.
    pub(super) followed_ms: Option<i64>,
}

/// When a series was there.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// None: before anybody looked.
    began_ms: Option<i64>,
    last_ms: i64,
}

/// When each series of a group was there in the present stretch of time, in order.
type Times<'a> = BTreeMap<&'a Labels, &'a [i64]>;

impl Succession {
    pub(super) fn new(identity: Kinship, step_ms: i64) -> Succession {
        let window_ms = HANDOVER_MS.max(step_ms);
        Succession { identity, window_ms, step_ms, groups: BTreeMap::new(), followed_ms: None }
    }

    /// Follows the instants from `start_ms` to `end_ms`, at which these series were there, and
    /// returns who took over, in order.
    pub(super) fn follow<'a>(
        &mut self,
        series: impl Iterator<Item = (&'a Labels, &'a [i64])>,
        (start_ms, end_ms): (i64, i64),
    ) -> Vec<Handover> {
        let is_first = self.followed_ms.is_none();
        self.followed_ms = Some(end_ms);
        let mut there: BTreeMap<Labels, Times<'a>> = BTreeMap::new();
        for (labels, times_ms) in series.filter(|(_, times_ms)| !times_ms.is_empty()) {
            there.entry(self.identity.of(labels)).or_default().insert(labels, times_ms);
        }
        let mut found = Vec::new();
        for (group, times) in &there {
            let spans = self.groups.entry(group.clone()).or_default();
            spans.retain(|_, span| start_ms - span.last_ms <= FORGET_AFTER_MS);
            for (labels, times_ms) in times {
                let first_ms = times_ms[0];
                let began_ms = (!is_first || first_ms > start_ms).then_some(first_ms);
                let span = Span { began_ms, last_ms: first_ms };
                spans.entry((*labels).clone()).or_insert(span);
            }
            if spans.len() > 1 {
                let within = (start_ms, end_ms, self.step_ms, self.window_ms);
                follow_group(spans, times, within, &mut found);
            }
            for (labels, times_ms) in times {
                if let (Some(span), Some(last_ms)) = (spans.get_mut(*labels), times_ms.last()) {
                    span.last_ms = *last_ms;
                }
            }
        }
        self.groups.retain(|_, spans| {
            spans.retain(|_, span| end_ms - span.last_ms <= FORGET_AFTER_MS);
            !spans.is_empty()
        });
        found.sort_by(|a, b| (a.at_ms, &a.to).cmp(&(b.at_ms, &b.to)));
        found
    }
}

/// Looks at each instant at which a series of the group is so young that it may take over.
fn follow_group(
    spans: &mut BTreeMap<Labels, Span>,
    times: &Times<'_>,
    (start_ms, end_ms, step_ms, window_ms): (i64, i64, i64, i64),
    found: &mut Vec<Handover>,
) {
    let young = |began_ms: i64| {
        let first_ms = began_ms.max(start_ms);
        let last_ms = (began_ms + window_ms + step_ms).min(end_ms);
        (first_ms..=last_ms).step_by(usize::try_from(step_ms).unwrap_or(usize::MAX).max(1))
    };
    let mut ahead: BTreeSet<i64> =
        spans.values().filter_map(|span| span.began_ms).flat_map(young).collect();
    while let Some(at_ms) = ahead.pop_first() {
        let Some((from, to)) = takes_over(spans, times, at_ms, window_ms) else { continue };
        let began_ms = spans.remove(&from).and_then(|span| span.began_ms);
        if let Some(span) = spans.get_mut(&to) {
            span.began_ms = began_ms;
        }
        // One that comes back is a new one.
        let later = times.get(&from).map_or(&[][..], |times_ms| after(times_ms, at_ms));
        if let Some(began_ms) = later.first().copied() {
            spans.insert(from.clone(), Span { began_ms: Some(began_ms), last_ms: began_ms });
            ahead.extend(young(began_ms));
        }
        found.push(Handover { at_ms, from, to });
    }
}

/// The one that ended and the one that began, if there are just these two.
fn takes_over(
    spans: &BTreeMap<Labels, Span>,
    times: &Times<'_>,
    at_ms: i64,
    window_ms: i64,
) -> Option<(Labels, Labels)> {
    // When each that has begun was there last, at or before this instant.
    let known = spans.iter().filter(|(_, span)| span.began_ms.is_none_or(|began| began <= at_ms));
    let last = known.map(|(labels, span)| {
        let times_ms = times.get(labels).copied().unwrap_or(&[]);
        let seen = times_ms.len() - after(times_ms, at_ms).len();
        let last_ms = times_ms[..seen].last().copied().unwrap_or(span.last_ms);
        (labels, span.began_ms, last_ms)
    });
    let last: Vec<(&Labels, Option<i64>, i64)> = last.collect();
    let mut present = last.iter().filter(|(.., last_ms)| *last_ms == at_ms);
    let (Some((to, Some(began_ms), _)), None) = (present.next(), present.next()) else {
        return None;
    };
    let is_elder = |began: &Option<i64>| began.is_none_or(|elder_ms| elder_ms < *began_ms);
    let ended = last.iter().filter(|(_, began, last_ms)| {
        *last_ms < at_ms && is_elder(began) && (began_ms - last_ms).abs() <= window_ms
    });
    let (from, _, last_ms) = ended.max_by_key(|(.., last_ms)| *last_ms)?;
    let since_ms = *last_ms.min(began_ms);
    let third = |(other, _, last_ms): &&(&Labels, Option<i64>, i64)| {
        other != to && other != from && *last_ms >= since_ms
    };
    let alone = !last.iter().any(|other| third(&other));
    alone.then(|| ((*from).clone(), (*to).clone()))
}

/// Those that are later.
fn after(times_ms: &[i64], at_ms: i64) -> &[i64] {
    &times_ms[times_ms.partition_point(|time_ms| *time_ms <= at_ms)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    /// Series `a`, `b` … of one identity, a minute for each character that is not a dot; followed so
    /// many minutes at a time.
    fn follow(series: &[&str], chunk: i64) -> Vec<String> {
        let labels: Vec<Labels> = (0..series.len())
            .map(|k| Labels::from_pairs([("app", "x"), ("pod", &"abcdef"[k..=k])]))
            .collect();
        let times: Vec<Vec<i64>> = series
            .iter()
            .map(|there| {
                let at = there.char_indices().filter(|(_, c)| *c != '.');
                at.map(|(minute, _)| minute as i64 * MINUTE_MS).collect()
            })
            .collect();
        let mut succession = Succession::new(Kinship::default(), MINUTE_MS);
        let mut found = Vec::new();
        let minutes = series[0].len() as i64;
        for start in (0..minutes).step_by(chunk as usize) {
            let (start_ms, end_ms) = (start * MINUTE_MS, (start + chunk - 1) * MINUTE_MS);
            let within = |times: &'_ [i64]| {
                let from = times.partition_point(|at_ms| *at_ms < start_ms);
                let to = times.partition_point(|at_ms| *at_ms <= end_ms);
                (from, to)
            };
            let there = labels.iter().zip(&times).map(|(labels, times)| {
                let (from, to) = within(times);
                (labels, &times[from..to])
            });
            found.extend(succession.follow(there, (start_ms, end_ms)));
        }
        let pod = |labels: &Labels| labels.get("pod").unwrap_or("").to_owned();
        let shown =
            |at: &Handover| format!("{} {}>{}", at.at_ms / MINUTE_MS, pod(&at.from), pod(&at.to));
        found.iter().map(shown).collect()
    }

    #[track_caller]
    fn check(series: &[&str], expected: &[&str]) {
        for chunk in [1, 2, 3, 7, 100] {
            assert_eq!(follow(series, chunk), expected, "in chunks of {chunk}");
        }
    }

    #[test]
    fn one_takes_over_from_another_that_ends() {
        check(&["aaaaaaaaaa..........", "..........bbbbbbbbbb"], &["10 a>b"]);
        check(&["aaaaaaa.............", "...........bbbbbbbbb"], &["11 a>b"]);
        check(&["aaaaaa..............", "...........bbbbbbbbb"], &[] as &[&str; 0]);
        // They overlap, as where a series is looked for five minutes back.
        check(&["aaaaaaaaaaaaaa......", ".........bbbbbbbbbbb"], &["14 a>b"]);
        check(&["aaaaaaaaaaaaaaaa....", ".........bbbbbbbbbbb"], &[] as &[&str; 0]);
        // And the next from that one.
        check(
            &["aaaaaa..............", "......bbbb..........", "............cccccccc"],
            &["6 a>b", "12 b>c"],
        );
        // Whoever comes back is a new one.
        check(&["aaaaaa......aaaaaaaa", "......bbbbbb........"], &["6 a>b", "12 b>a"]);
    }

    #[test]
    fn of_three_nobody_knows_who_is_whose() {
        check(
            &["aaaaaaaaaa..........", "..........bbbbbbbbbb", "cccccccccccccccccccc"],
            &[] as &[&str; 0],
        );
        check(
            &["aaaaaaaaaa..........", "aaaaaaaaa...........", "..........cccccccccc"],
            &["10 a>c"],
        );
        check(
            &["aaaaaaaaaa..........", "aaaaaaaaaa..........", "..........cccccccccc"],
            &[] as &[&str; 0],
        );
        check(
            &["aaaaaaaaaa..........", "..........bbbbbbbbbb", "..........cccccccccc"],
            &[] as &[&str; 0],
        );
        // What was there from the start has not begun.
        check(&["a...................", "bbbbbbbbbbbbbbbbbbbb"], &[] as &[&str; 0]);
        // One that is known and was gone for a while does not begin.
        check(&["aaaaaaaaaa..........", "bb........bbbbbbbbbb"], &[] as &[&str; 0]);
    }
}
