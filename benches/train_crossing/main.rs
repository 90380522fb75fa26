//! Trains the table of the crossing engine, `src/learn/crossing/table.rs`, and measures how it does.
//!
//! `cargo run --release --example train_crossing > src/learn/crossing/table.rs` writes the shipped
//! table again, byte for byte. What it learns from: series made up here (`generate`, 33 families),
//! `exhaustion-public`, and real series (kpi, NAB, M4 hourly's training part, cloud) with limits put
//! above and below them, all of `../shared/data`. Shares of the weight: made up here 0.233,
//! exhaustion-public 0.117, kpi 0.2, NAB 0.2, M4 0.15, cloud 0.1.
//!
//! On the way it leaves out each kind of made-up behaviour, each third of the families, each half of
//! exhaustion-public and each real source in turn, and prints what a model that has not seen it says
//! of it at a horizon of four hours: how alerts fare, and how much came true. The same teaches how far
//! the record of a series is to be trusted.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod boost;
mod generate;
mod left_out;
mod measure;
#[path = "../quality/scores/mod.rs"]
#[allow(dead_code, reason = "scorers of anomalies are for another program")]
mod scores;
mod sources;
mod trust;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use forewarn::learn::{Bend, Question};

use self::boost::{Model, Node, Row};
use self::left_out::LeftOut;
use self::sources::{Source, ask};

/// Examples of each source, about.
const ROWS: usize = 100_000;
/// Shares of the weight.
const MADE_UP: f64 = 0.7 / 3.0;
const EXHAUSTION: f64 = 0.35 / 3.0;

fn main() -> Result<()> {
    let sources = sources()?;
    let examples: Vec<Vec<Example>> = sources.iter().map(examples).collect();
    for (source, examples) in sources.iter().zip(&examples) {
        let crossed = examples.iter().filter(|example| example.row.crossed).count();
        eprintln!("{}: {} examples, {crossed} crossed", source.name, examples.len());
    }
    let each = LeftOut::each(&sources);
    let mut heard = Vec::new();
    for left_out in &each {
        let rows = rows(&sources, &examples, |source, track| !left_out.has(source, track));
        let model = Model::train(&rows);
        heard.push((left_out.weight(), trust::listen(&sources, left_out, &model)));
    }
    let bend = trust::fit(&heard);
    for (left_out, (_, tried)) in each.iter().zip(&heard) {
        eprintln!("{}{}", left_out.name(), measure::report(tried, &bend));
    }
    let model = Model::train(&rows(&sources, &examples, |_, _| true));
    print!("{}", table(&model, &bend));
    Ok(())
}

fn sources() -> Result<Vec<Source>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let (anomaly, forecast) = (data.join("anomaly"), data.join("forecast"));
    let in_directory = |name: &str| sources::read_directory(&anomaly.join(name));
    Ok(vec![
        Source::made_up(MADE_UP),
        Source::exhaustion(
            EXHAUSTION,
            &forecast.join("exhaustion-public.series.csv.gz"),
            &forecast.join("exhaustion-public.truth.json"),
        )?,
        Source::real("kpi", 0.2, 1, in_directory("kpi")?),
        Source::real("NAB", 0.2, 2, in_directory("nab")?),
        Source::real(
            "M4",
            0.15,
            1,
            sources::read_hourly(&forecast.join("m4-hourly-train.csv.gz"))?,
        ),
        Source::real("cloud", 0.1, 5, in_directory("cloud")?),
    ])
}

/// What a series of a source teaches.
struct Example {
    track: usize,
    row: Row,
}

/// Returns examples of a source: what the trees are asked.
fn examples(source: &Source) -> Vec<Example> {
    let questions: usize =
        source.runs.iter().map(|run| source.buckets(run) * run.limits.len()).sum();
    let stride = (questions / ROWS).max(1);
    let answers = in_two(&source.runs, |run| {
        let mut found = Vec::new();
        ask(&source.tracks, run, stride, |asked| {
            if let (Some(Question::Trees(features)), true) = (asked.question, asked.is_known) {
                let features = features.map(|feature| feature as f32);
                let row = Row { features, crossed: asked.crossed, weight: 1.0 };
                found.push(Example { track: run.track, row });
            }
        });
        found
    });
    answers.into_iter().flatten().collect()
}

/// Returns the examples of some series, each source's share of the weight spread evenly over its
/// own, 1 in the mean.
fn rows(
    sources: &[Source],
    examples: &[Vec<Example>],
    teaches: impl Fn(&Source, usize) -> bool,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (source, examples) in sources.iter().zip(examples) {
        let taught = examples.iter().filter(|example| teaches(source, example.track));
        let taught: Vec<&Row> = taught.map(|example| &example.row).collect();
        let weight = source.share / taught.len() as f64;
        rows.extend(taught.into_iter().map(|row| Row { weight, ..row.clone() }));
    }
    evened(rows)
}

/// Scales weights to a mean of 1.
fn evened(mut rows: Vec<Row>) -> Vec<Row> {
    let mean = rows.iter().map(|row| row.weight).sum::<f64>() / rows.len() as f64;
    for row in &mut rows {
        row.weight /= mean;
    }
    rows
}

/// Does something with each item on two threads, and returns what came of it in order.
fn in_two<T: Sync, R: Send>(items: &[T], of: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut results = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(item) = items.get(at)
        {
            results.push((at, of(item)));
        }
        results
    };
    let mut results = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut results = work();
        results.extend(other.join().expect("no example can fail"));
        results
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Writes the table as Rust.
fn table(model: &Model, bend: &Bend) -> String {
    let Bend { bias, slope, record } = bend;
    let trees = model.trees.iter().map(|tree| {
        let nodes: Vec<String> = tree.iter().map(node).collect();
        format!("    &[{}],\n", nodes.join(", "))
    });
    format!(
        "// Written by `cargo run --release --example train_crossing`; not to be edited.\n\n\
         #![expect(clippy::unreadable_literal, reason = \"written by a program\")]\n\n\
         use super::trees::Node::{{Leaf, Split}};\n\
         use super::trees::Trees;\n\
         use super::trust::Bend;\n\n\
         /// How far the record of a series is trusted.\n\
         pub(super) const BEND: Bend = \
         Bend {{ bias: {bias:.3}, slope: {slope:.3}, record: {record:.3} }};\n\n\
         /// The trees.\n\
         #[rustfmt::skip]\n\
         pub(super) static TREES: Trees = Trees {{ bias: {:?}, trees: &[\n{}] }};\n",
        model.bias,
        trees.collect::<String>()
    )
}

fn node(node: &Node) -> String {
    match node {
        Node::Split { feature, at, right } => {
            format!("Split {{ feature: {feature}, at: {at:?}, right: {right} }}")
        }
        Node::Leaf(value) => format!("Leaf({value:?})"),
    }
}
