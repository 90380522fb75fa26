//! Labelled series: who finds the incidents, at how many false pages.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Bench;
use crate::anchors::{ANOMALIES, Anomalies};
use crate::check::Check;
use crate::data::{self, Dataset};
use crate::ours;
use crate::parallel::in_parallel;
use crate::scores::{Figures, Judged, Labelled, nab, pages, points};
use crate::table::{Table, figure, shown};

/// Alerts are scored from this share of the rows on.
const PAGES_FROM: f64 = 0.15;

/// F1 is of the second half, as in the contest.
const POINTS_FROM: f64 = 0.5;

/// Where an alert begins, of every method's score.
const EDGE: f64 = 1.0;

/// A data set with its series.
struct Corpus {
    dataset: Dataset,
    series: Vec<Labelled>,
}

/// What a method reached, by [`Dataset::ALL`].
struct Reached {
    pages: [Figures; 3],
    points: Figures,
    nab: Figures,
}

/// Scores ours and the anchors and prints the table; returns how many samples each data set has.
pub(crate) fn report(bench: &Bench, checks: &mut Vec<Check>) -> Result<Vec<(String, usize)>> {
    let anomaly = bench.data.join("anomaly");
    let mut corpora = Vec::new();
    for dataset in Dataset::ALL {
        corpora.push(Corpus { dataset, series: data::labelled(&anomaly, dataset)? });
    }
    if bench.writes {
        crate::check::lay_out_nab_pages(&anomaly, &bench.out, &corpora[2].series)?;
    }
    let mut table = empty_table();
    let mut add = |name: &str, folder: &str, judge: &Judge<'_>| -> Result<()> {
        let reached = reach(&corpora, judge)?;
        table.rows.push(row(name, &reached));
        checks.extend(checks_of(bench, name, folder, reached));
        Ok(())
    };
    let written = bench.out.join(ours::FOLDER);
    add("forewarn", ours::FOLDER, &|corpus| data::judged(&written, &corpus.series))?;
    for anchor in &ANOMALIES {
        add(anchor.name, anchor.folder, &|corpus| judge_by(anchor, corpus, bench))?;
    }
    add_known(&mut table);
    table.print(bench.as_markdown);
    let samples = |corpus: &Corpus| corpus.series.iter().map(|one| one.times.len()).sum();
    let name = |corpus: &Corpus| format!("baseline {}", corpus.dataset.folder());
    Ok(corpora.iter().map(|corpus| (name(corpus), samples(corpus))).collect())
}

type Judge<'a> = dyn Fn(&Corpus) -> Result<Vec<Judged>> + 'a;

fn judge_by(anchor: &Anomalies, corpus: &Corpus, bench: &Bench) -> Result<Vec<Judged>> {
    let judged = in_parallel(&corpus.series, anchor.judge);
    if bench.writes {
        let pairs: Vec<(&Labelled, &Judged)> = corpus.series.iter().zip(&judged).collect();
        let folder = bench.out.join(anchor.folder);
        let written = in_parallel(&pairs, |(series, judged)| write(&folder, series, judged));
        written.into_iter().collect::<Result<()>>()?;
    }
    Ok(judged)
}

/// Writes what a method said, as `forewarn learn baseline` does.
fn write(folder: &Path, series: &Labelled, judged: &Judged) -> Result<()> {
    let path = folder.join(format!("{}.gz", series.name));
    std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = std::io::BufWriter::new(GzEncoder::new(file, Compression::fast()));
    writeln!(out, "timestamp,score,alert")?;
    for ((time, score), on) in series.times.iter().zip(&judged.score).zip(&judged.alert) {
        writeln!(out, "{time},{score},{}", u8::from(*on))?;
    }
    out.flush()?;
    Ok(())
}

fn reach(corpora: &[Corpus], judge: &Judge<'_>) -> Result<Reached> {
    let mut reached = Reached { pages: Default::default(), points: Vec::new(), nab: Vec::new() };
    for (corpus, of_dataset) in corpora.iter().zip(&mut reached.pages) {
        let judged = judge(corpus)?;
        let pairs: Vec<(&Labelled, &Judged)> = corpus.series.iter().zip(&judged).collect();
        *of_dataset = pages::score(&pairs, PAGES_FROM);
        match corpus.dataset {
            Dataset::Kpi => reached.points = points::score(&pairs, POINTS_FROM),
            Dataset::Nab => reached.nab = nab::score(&pairs, EDGE),
            Dataset::Cloud => {}
        }
    }
    Ok(reached)
}

fn empty_table() -> Table {
    Table {
        title: "Labelled series: incidents found @ false pages a series and week, each at its one \
                default; delay: median / 90 %, steps"
            .to_owned(),
        header: vec![
            "",
            "kpi",
            "delay",
            "cloud",
            "delay",
            "NAB's windows",
            "NAB",
            "low FP",
            "low FN",
            "NAB at default",
            "F1 kpi",
        ],
        rows: Vec::new(),
        notes: vec![
            "NAB: at the threshold that is best for each method, as NAB reports; F1: delay-adjusted, \
             second half, at the default."
                .to_owned(),
            "Grafana's rules as published; an hour of an hourly series (most of cloud) is one sample \
             to them."
                .to_owned(),
        ],
    }
}

fn row(name: &str, reached: &Reached) -> Vec<String> {
    let found = |figures: &Figures| {
        let false_pages = shown(figures, "false_pages_per_series_week", 2);
        format!("{} @ {false_pages}", shown(figures, "recall", 3))
    };
    let delay = |figures: &Figures| {
        let [middle, long] = ["delay_p50_steps", "delay_p90_steps"].map(|name| {
            figure(figures, name)
                .map_or("-".to_owned(), |steps| format!("{}", (steps * 10.0).round() / 10.0))
        });
        format!("{middle} / {long}")
    };
    let [kpi, cloud, windows] = &reached.pages;
    vec![
        name.to_owned(),
        found(kpi),
        delay(kpi),
        found(cloud),
        delay(cloud),
        found(windows),
        shown(&reached.nab, "standard.score", 1),
        shown(&reached.nab, "reward_low_FP_rate.score", 1),
        shown(&reached.nab, "reward_low_FN_rate.score", 1),
        shown(&reached.nab, "standard.score_at_fixed", 1),
        shown(&reached.points, "alert_delay_f1", 3),
    ]
}

/// The bars, and what others have published.
fn add_known(table: &mut Table) {
    table.fixed(["bar: reach", "0.75 @ 1.5", "1 / 3", "0.68 @ 0.6", "", "", "55"]);
    table.fixed(["bar: and then", "0.80 @ 1.0", "1 / 2", "0.80 @ 0.3", "", "", "70"]);
    let published = [
        ("published: windowed Gaussian", "39.6"),
        ("published: Random Cut Forest", "51.7"),
        ("published: HTM", "70.1"),
        ("published: ARTime", "74.9"),
    ];
    for (name, score) in published {
        table.fixed([name, "", "", "", "", "", score]);
    }
}

fn checks_of(bench: &Bench, name: &str, folder: &str, reached: Reached) -> Vec<Check> {
    let (anomaly, scores) = (bench.data.join("anomaly"), bench.out.join(folder));
    let mut checks = Vec::new();
    for (dataset, figures) in Dataset::ALL.into_iter().zip(reached.pages) {
        let data = match dataset {
            Dataset::Nab => crate::check::nab_pages(&bench.out),
            _ => anomaly.clone(),
        };
        let check = Check::new(format!("{name}, pages of {}", dataset.folder()), figures);
        let check = check.script("page_score.py").option("--data", &data);
        checks.push(check.option("--dataset", dataset.folder()).option("--scores", &scores));
    }
    let check = Check::new(format!("{name}, F1 of kpi"), reached.points);
    let check = check.script("f1_score.py").option("--data", &anomaly).option("--dataset", "kpi");
    checks.push(check.option("--scores", &scores).option("--from", "0.5").flag("--no-vus"));
    let check = Check::new(format!("{name}, NAB"), reached.nab);
    let nab = anomaly.join("nab");
    let check = check.script("nab_score.py").option("--windows", nab.join("combined_windows.json"));
    let check = check.option("--data", &nab).option("--scores", scores.join("nab"));
    checks.push(check.option("--threshold", "1.0"));
    checks
}
