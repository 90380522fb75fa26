//! What is left out of training together, to see what is said of the unknown: [`LeftOut`].

use crate::generate::Kind;
use crate::sources::Source;

/// Series that no model sees that is asked about them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LeftOut {
    /// All made-up series of a kind, those of the public file too.
    Kind(Kind),
    /// A third of the families, of all kinds, each with those that are much like it.
    Families(usize),
    /// Every second series of the public file: known families, fresh seeds.
    Half(usize),
    /// A source of real series.
    Source(&'static str),
}

/// Families that are much alike, those of the public file too: what one of them teaches tells of the
/// others.
const ALIKE: [&[&str]; 28] = [
    &["steady fill", "steady", "fixed"],
    &["fill by day", "diurnal_fill"],
    &["fill on workdays"],
    &["fill that speeds up"],
    &["fill that slows down"],
    &["fill in ramps"],
    &["cleaned in time"],
    &["rotated by size", "rotate_size"],
    &["rotated by time", "rotate_time"],
    &["rotation breaks", "rotate_broken"],
    &["compaction"],
    &["compaction that grows"],
    &["leak below collections", "leak_gc", "sawtooth that climbs"],
    &["sawtooth that stays"],
    &["connection leak", "conn_leak"],
    &["countdown"],
    &["plateau", "warm cache"],
    &["steps"],
    &["steps to the end"],
    &["bursts", "bursts_safe", "copy that fills", "copy_full"],
    &["backlog"],
    &["spikes"],
    &["runaway"],
    &["mean reverting", "mean reverting near", "ou"],
    &["random walk", "walk"],
    &["requests grow", "requests stay", "req_growth", "req_safe"],
    &["nightly batch"],
    &["hot days"],
];
const THIRDS: usize = 3;
const KINDS: [Kind; 5] = [Kind::Fills, Kind::Rotations, Kind::Leaks, Kind::Levels, Kind::Waves];

impl LeftOut {
    /// Returns all that is left out in turn.
    pub(crate) fn each(sources: &[Source]) -> Vec<LeftOut> {
        let kinds = KINDS.map(LeftOut::Kind);
        let halves = [0, 1].map(LeftOut::Half);
        let is_real = |source: &&Source| source.tracks.iter().all(|track| track.kind.is_none());
        let real = sources.iter().filter(is_real).map(|source| LeftOut::Source(source.name));
        let families = (0..THIRDS).map(LeftOut::Families);
        kinds.into_iter().chain(halves).chain(real).chain(families).collect()
    }

    /// Returns whether a series of a source is left out.
    pub(crate) fn has(&self, source: &Source, track: usize) -> bool {
        match self {
            LeftOut::Kind(kind) => source.tracks[track].kind == Some(*kind),
            LeftOut::Families(third) => {
                let of = |family| ALIKE.iter().position(|alike| alike.contains(&family));
                let family = source.tracks[track].family.as_deref();
                family.and_then(of).is_some_and(|alike| alike % THIRDS == *third)
            }
            LeftOut::Half(half) => source.name == "exhaustion" && track % 2 == *half,
            LeftOut::Source(name) => source.name == *name,
        }
    }

    /// Returns how much it counts where it is learned how far to believe: a real source four times as
    /// much as all kinds, or both halves. On made-up series what is said is rather too low, which does
    /// less harm than what is too high on real ones. Families are measured alone: kinds tell the same.
    pub(crate) fn weight(&self) -> f64 {
        match self {
            LeftOut::Kind(_) => 0.25 / KINDS.len() as f64,
            LeftOut::Half(_) => 0.125,
            LeftOut::Families(_) => 0.0,
            LeftOut::Source(_) => 1.0,
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            LeftOut::Kind(kind) => format!("{kind:?}").to_lowercase(),
            LeftOut::Families(third) => {
                format!("families, {} third", ["first", "second", "last"][third % THIRDS])
            }
            LeftOut::Half(half) => format!("exhaustion, {} half", ["one", "other"][half % 2]),
            LeftOut::Source(name) => (*name).to_owned(),
        }
    }
}
