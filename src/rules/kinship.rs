//! Which labels say of what a series is a case, and what follows for a new one.

use super::circle::Seat;
use super::watched::Watched;
use crate::learn::Baseline;
use crate::series::Labels;

/// Labels that tell one instance of the same thing from another.
const PER_INSTANCE: [&str; 5] = ["pod", "instance", "container_id", "uid", "endpoint"];
/// For so long, and for so many samples at least, a new series is only watched before it takes
/// after its family: what it does while it starts is not the level at which it will run.
const SETTLES_MS: i64 = 15 * 60_000;
const SETTLES_SAMPLES: usize = 5;
/// For how long the state of a series that is gone is kept.
pub(super) const FORGET_AFTER_MS: i64 = 7 * 86_400_000;

/// Series that agree on some of their labels belong together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kinship {
    /// On these.
    By(Vec<String>),
    /// On all but these.
    Without(Vec<String>),
}

impl Default for Kinship {
    fn default() -> Kinship {
        Kinship::Without(PER_INSTANCE.map(str::to_owned).to_vec())
    }
}

impl Kinship {
    /// What all that belong together have in common.
    pub(super) fn of(&self, series: &Labels) -> Labels {
        match self {
            Kinship::By(names) => series.keep(names),
            Kinship::Without(names) => series.without(names),
        }
    }

    /// The closest kinship that joins whatever one of the two joins.
    pub(super) fn or(&self, other: &Kinship) -> Kinship {
        let within = |names: &[String], keeps: &dyn Fn(&String) -> bool| {
            names.iter().filter(|name| keeps(name)).cloned().collect()
        };
        match (self, other) {
            (Kinship::By(a), Kinship::By(b)) => Kinship::By(within(a, &|name| b.contains(name))),
            (Kinship::By(by), Kinship::Without(without))
            | (Kinship::Without(without), Kinship::By(by)) => {
                Kinship::By(within(by, &|name| !without.contains(name)))
            }
            (Kinship::Without(a), Kinship::Without(b)) => {
                Kinship::Without(a.iter().chain(b).cloned().collect())
            }
        }
    }
}

/// What is noted of a new series until it takes after its family.
#[derive(Clone, Debug, Default)]
pub(super) struct Settling {
    since_ms: Option<i64>,
    values: Vec<f64>,
}

impl Settling {
    /// Notes a value, or returns the level of those before, once there are enough: the middle of
    /// their later half.
    fn settle(&mut self, time_ms: i64, value: f64) -> Option<f64> {
        let since_ms = *self.since_ms.get_or_insert(time_ms);
        let is_due = time_ms.saturating_sub(since_ms) >= SETTLES_MS;
        if is_due && self.values.len() >= SETTLES_SAMPLES {
            let half = self.values.len() / 2;
            let later = &mut self.values[half..];
            let middle = later.len() / 2;
            let (_, median, _) = later.select_nth_unstable_by(middle, f64::total_cmp);
            return Some(*median);
        }
        self.values.push(value);
        None
    }
}

/// At a learning instant of which nothing is learned yet, lets the members of one family that have
/// settled begin anew from the learned normal of the eldest, at their own level.
pub(super) fn take_after(seats: &mut [Seat<'_>], family: &[usize], time_ms: i64) {
    for member in family.iter().copied() {
        let seat = &mut seats[member];
        let (Some(value), Some(settling)) = (seat.value, &mut seat.watched.settling) else {
            continue;
        };
        let Some(level) = settling.settle(time_ms, value) else { continue };
        seat.watched.settling = None;
        let own_ms = first_ms(seat.watched);
        let kin = family.iter().filter(|other| **other != member);
        let eldest = kin.map(|other| &*seats[*other].watched).filter_map(|other| {
            let baseline = other.baseline.as_ref()?;
            let (first_ms, last_ms) = baseline.learned_ms()?;
            let is_kept = time_ms.saturating_sub(last_ms) <= FORGET_AFTER_MS;
            (is_kept && own_ms.is_some_and(|own_ms| first_ms < own_ms))
                .then_some((first_ms, baseline))
        });
        let eldest = eldest.min_by_key(|(first_ms, _)| *first_ms);
        let heir = eldest.and_then(|(_, elder)| Baseline::inherit(elder, time_ms, level));
        if heir.is_some() {
            seats[member].watched.baseline = heir;
        }
    }
}

/// When the first sample was learned, ms.
fn first_ms(watched: &Watched) -> Option<i64> {
    watched.baseline.as_ref()?.learned_ms().map(|(first_ms, _)| first_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_belong_together_by_labels() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (by, without) =
            (|n: &[&str]| Kinship::By(names(n)), |n: &[&str]| Kinship::Without(names(n)));
        let series = Labels::from_pairs([("app", "shop"), ("pod", "shop-1"), ("zone", "a")]);
        assert_eq!(Kinship::default().of(&series).to_string(), r#"{app="shop", zone="a"}"#);
        assert_eq!(by(&["app", "none"]).of(&series).to_string(), r#"{app="shop"}"#);
        assert_eq!(by(&["app", "pod"]).or(&by(&["pod", "zone"])), by(&["pod"]));
        assert_eq!(by(&["app", "pod"]).or(&without(&["pod"])), by(&["app"]));
        assert_eq!(without(&["pod"]).or(&by(&["app", "pod"])), by(&["app"]));
        assert_eq!(without(&["pod"]).or(&without(&["app"])), without(&["pod", "app"]));
    }

    #[test]
    fn a_level_is_known_once_a_start_is_over() {
        const MINUTE_MS: i64 = 60_000;
        let settled = |step_ms: i64| {
            let mut settling = Settling::default();
            let mut values = (0..).map(|k| (k * step_ms, if k < 2 { 1e9 } else { k as f64 }));
            values.find_map(|(at_ms, value)| Some((at_ms, settling.settle(at_ms, value)?)))
        };
        assert_eq!(settled(MINUTE_MS), Some((15 * MINUTE_MS, 11.0)));
        assert_eq!(settled(60 * MINUTE_MS), Some((300 * MINUTE_MS, 3.0)));
    }
}
