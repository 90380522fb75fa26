//! How good and how honest models are on what they have not seen, in the words of the scorers of
//! alerts.

use std::collections::BTreeMap;

use forewarn::learn::{Ahead, Bend, Outlook};
use forewarn::rules::Memory;

use crate::in_two;
use crate::scores::Figures;
use crate::scores::alerts::{self, Limited, Said, Score};
use crate::sources::TRIED_MS;
use crate::trust::{Told, Tried};

/// Probabilities at which a rule's alert begins.
const AT: [f64; 3] = [0.7, 0.8, 0.9];

/// Says how alerts fare, and what came true of what was said.
pub(crate) fn report(tried: &[Tried<'_>], bend: &Bend) -> String {
    let limited = in_two(tried, |tried| tried.source.limited(tried.trial));
    let limited: Vec<Limited> = limited
        .into_iter()
        .enumerate()
        .map(|(number, limited)| Limited { name: number.to_string(), ..limited })
        .collect();
    let mut text = String::new();
    let mut honesty = String::new();
    for at in AT {
        let said: BTreeMap<String, Vec<Said>> = limited
            .iter()
            .zip(tried)
            .map(|(limited, tried)| (limited.name.clone(), said(&tried.told, bend, at)))
            .collect();
        let score = alerts::score(&limited, &said, TRIED_MS as f64 / 1000.0);
        text += &alerts_line(at, &score.figures);
        honesty = honesty_line(&score);
    }
    text + &honesty
}

/// Returns what a rule says whose alert begins at this probability.
fn said(told: &[Told], bend: &Bend, at: f64) -> Vec<Said> {
    let mut memory = Memory::new();
    let mut say = |told: &Told| {
        let p = told.p.map(|p| bend.believed(p, told.record));
        let outlook = p.map_or(Outlook::Across, |p| Outlook::Ahead(ahead(p)));
        memory.foreseen(&outlook, at, true);
        let (time, firing) = (told.time_ms as f64 / 1000.0, memory.is_on());
        Said { time, firing, p: Some(p.unwrap_or(1.0)) }
    };
    told.iter().map(&mut say).collect()
}

fn ahead(p: f64) -> Ahead {
    let (eta_p10_s, eta_p50_s, eta_p90_s) = (None, None, None);
    let (slope_per_s, similar, resets) = (0.0, (0.0, 0.0), (0, 0));
    Ahead { p, eta_p10_s, eta_p50_s, eta_p90_s, slope_per_s, similar, resets }
}

fn figure(figures: &Figures, name: &str) -> f64 {
    let found = figures.iter().find(|(of, _)| *of == name);
    found.and_then(|(_, value)| *value).unwrap_or(f64::NAN)
}

fn alerts_line(at: f64, figures: &Figures) -> String {
    let of = |name: &str| figure(figures, name);
    format!(
        "\n  on at {at}: precision {:.3}, recall {:.3}, lead {:.0} min, false {:.3} a series-week",
        of("precision"),
        of("recall"),
        of("lead_median_min"),
        of("false_per_series_week"),
    )
}

fn honesty_line(score: &Score) -> String {
    let of = |name: &str| figure(&score.figures, name);
    let told = score.honesty.iter().filter(|honesty| honesty.said >= 0.3).map(|honesty| {
        format!(", said {:.2} came {:.2} of {}", honesty.said, honesty.observed, honesty.count)
    });
    let brier = of("brier") / of("brier_base");
    format!("\n  Brier {brier:.3} of the base rate's{}", told.collect::<String>())
}
