//! `forewarn learn … --svg`: what is drawn is what was said.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::files::{forewarn, near_and_still, write};

/// What `--svg out` of some arguments wrote, by name, after a look that each is XML.
fn drawn(arguments: &[&str], dir: &Path) -> Vec<(String, String)> {
    let output = forewarn(&[arguments, &["--svg", "pictures"]].concat(), dir);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let entries = std::fs::read_dir(dir.join("pictures")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        check_xml(&text).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name}");
        (name, text)
    };
    paths.into_iter().map(read).collect()
}

/// Checks that tags are closed in order, attributes are quoted, and texts are escaped.
fn check_xml(text: &str) -> Result<(), String> {
    let mut open = Vec::new();
    for part in text.split('<').skip(1) {
        let (tag, words) = part.split_once('>').ok_or(format!("<{part} has no end"))?;
        let entity =
            |rest: &str| ["amp;", "lt;", "gt;", "quot;", "#39;"].map(|e| rest.starts_with(e));
        let is_escaped = part.split('&').skip(1).all(|rest| entity(rest).contains(&true));
        let is_text = words.chars().all(|c| c == '\n' || !c.is_control() && c != '>');
        if !is_escaped || !is_text {
            return Err(format!("{part:?} is no text"));
        }
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop();
            if opened != Some(name) {
                return Err(format!("</{name}> closes {opened:?}"));
            }
            continue;
        }
        let (tag, is_whole) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let quotes = attributes.split('"').skip(1).step_by(2).count();
        let names = attributes.split('"').step_by(2).filter(|name| !name.is_empty());
        let is_named = |name: &str| name.ends_with('=') && name.trim().len() > 1;
        if names.clone().count() != quotes || !names.clone().all(is_named) {
            return Err(format!("<{tag}> has wrong attributes"));
        }
        if !is_whole {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} are not closed")) }
}

/// The places of the paths of a class, each part from an M on by itself.
fn path(svg: &str, class: &str) -> Vec<Vec<(f64, f64)>> {
    let start = format!("<path class=\"{class}\"");
    let tags = svg.split(&start).skip(1).map(|rest| rest.split('>').next().unwrap());
    let data = tags.map(|tag| tag.split_once(" d=\"").unwrap().1.split('"').next().unwrap());
    // Those of the legend are this long.
    let parts = data.filter(|data| !data.ends_with("h22")).flat_map(|data| data.split('M').skip(1));
    let place = |place: &str| {
        let (x, y) = place.trim_end_matches("h.01").trim_end_matches('Z').split_once(' ').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    parts.map(|part| part.split('L').map(place).collect()).collect()
}

/// The values of an attribute of each shape of a class.
fn attributes(svg: &str, class: &str, name: &str) -> Vec<f64> {
    let class = format!("class=\"{class}\"");
    // The legend is the first.
    let shapes = svg.split(&class).skip(2);
    let value = |shape: &str| {
        let text = shape.split_once(&format!(" {name}=\"")).unwrap().1;
        text.split('"').next().unwrap().parse().unwrap()
    };
    shapes.map(value).collect()
}

const LEFT: f64 = 64.0;
const WIDTH: f64 = 1_120.0;

#[test]
fn a_table_of_many_rows_is_a_small_picture_with_each_spike() {
    let dir = tempfile::tempdir().unwrap();
    let (count, gap_at, gap, spike_at, jump_at) = (50_000, 10_000, 5_000, 30_000, 45_000);
    let minute = |row: i64| row + if row >= gap_at { gap } else { 0 };
    let mut table = "timestamp,value\n".to_owned();
    for row in 0..count {
        let noise = (row * 7919 % 101) as f64 / 101.0;
        let value = match row {
            row if row == spike_at => "250".to_owned(),
            row if (jump_at..jump_at + 60).contains(&row) => "150".to_owned(),
            // A row without a number is no sample.
            20_000 => String::new(),
            _ => (100.0 + 5.0 * noise).to_string(),
        };
        writeln!(table, "{},{value}", 1_700_000_000 + 60 * minute(row)).unwrap();
    }
    write(dir.path().join("a<&>.csv"), table).unwrap();
    let pictures = drawn(&["baseline", "a<&>.csv", "--out", "out"], dir.path());
    let [(name, svg)] = &pictures[..] else { panic!("{} pictures", pictures.len()) };
    assert_eq!(name, "a<&>.svg");
    assert!(svg.contains(">a&lt;&amp;&gt;.csv</text>"));
    assert!(svg.len() < 150_000, "{} bytes", svg.len());
    let x = |row: i64| LEFT + WIDTH * minute(row) as f64 / minute(count - 1) as f64;

    // The line is broken where there is a gap, and only there.
    let signal = path(svg, "signal");
    let ends: Vec<_> = signal.iter().map(|part| (part[0].0, part.last().unwrap().0)).collect();
    let expected = [(x(0), x(gap_at - 1)), (x(gap_at), x(count - 1))];
    assert_eq!(ends.len(), 2);
    for (found, expected) in ends.iter().zip(expected) {
        assert!((found.0 - expected.0).abs() < 1.0 && (found.1 - expected.1).abs() < 1.0);
    }
    // The spike of one row is its highest place, the jump's the next.
    let high =
        |places: &[(f64, f64)]| places.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    let (spike_x, spike_y) = high(&signal[1]);
    assert!((spike_x - x(spike_at)).abs() < 0.1, "{spike_x}");
    let usual = signal[1].iter().filter(|place| (place.0 - spike_x).abs() > 3.0);
    let (jump_x, jump_y) = high(&usual.copied().collect::<Vec<_>>());
    assert!((jump_x - x(jump_at)).abs() < 2.0, "{jump_x}");
    let y_of_102 = signal[0].iter().map(|place| place.1).sum::<f64>() / signal[0].len() as f64;
    let share = (y_of_102 - jump_y) / (y_of_102 - spike_y);
    assert!((share - 48.0 / 148.0).abs() < 0.02, "{share}");

    // The band begins once there is one, and holds what is expected.
    let (band, expected) = (path(svg, "band"), path(svg, "expected"));
    assert!(band[0][0].0 > LEFT && band[0][0].0 < x(200));
    let above = band[1].iter().map(|place| place.1).fold(f64::INFINITY, f64::min);
    assert!(expected[1].iter().all(|place| place.1 >= above));

    // The alert was on at both, as the table says.
    let out = super::files::unpacked(&dir.path().join("out/a<&>.csv.gz"));
    let is_on: Vec<bool> = out.lines().skip(1).map(|line| line.ends_with(",1")).collect();
    let (starts, widths) = (attributes(svg, "firing", "x"), attributes(svg, "firing", "width"));
    for row in [spike_at, jump_at] {
        let first = (row..count).find(|row| is_on[*row as usize]).unwrap();
        let last = (first..count).find(|row| !is_on[*row as usize]).unwrap() - 1;
        let found = starts.iter().zip(&widths).find(|(at, _)| (**at - x(first)).abs() < 0.1);
        let (at, width) = found.unwrap_or_else(|| panic!("none at {}: {starts:?}", x(first)));
        assert!((at + width - x(last).max(at + 2.0)).abs() < 0.5, "{width}");
    }
    // Nothing else is marked.
    let on = (1..is_on.len()).filter(|row| is_on[*row] && !is_on[row - 1]).count();
    assert!(starts.len() <= on && on < 20, "{on}");
}

#[test]
fn a_fan_leads_from_where_the_alert_begins_to_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = near_and_still(dir.path(), "../down");
    let pictures = drawn(&arguments, dir.path());
    let names: Vec<_> = pictures.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["_down.svg", "still.svg"]);
    let (down, still) = (&pictures[0].1, &pictures[1].1);
    assert!(down.contains(">../down</text>") && attributes(still, "firing", "x").is_empty());

    // On in both plots from the first row on that says so.
    let out = std::fs::read_to_string(dir.path().join("out.csv")).unwrap();
    let first = out.lines().find(|line| line.starts_with("../down,") && line.contains(",1,"));
    let first_s: f64 = first.unwrap().split(',').nth(1).unwrap().parse().unwrap();
    // The plot ends where the signal does, or where the fan does.
    let signal = &path(down, "signal")[0];
    let end = signal.last().unwrap().0;
    assert!(end > LEFT + 0.7 * WIDTH);
    let x = LEFT + (end - LEFT) * (first_s - 1_700_000_100.0) / 71_940.0;
    let starts = attributes(down, "firing", "x");
    assert!(starts.len() == 2 && starts.iter().all(|at| (at - x).abs() < 0.1), "{starts:?}");
    // The middle ray goes from the signal there to the limit when that is reached.
    let rays: Vec<_> = path(down, "middle").into_iter().filter(|part| part.len() == 2).collect();
    let [ray] = &rays[..] else { panic!("{rays:?}") };
    assert!((ray[0].0 - x).abs() < 0.1 && (ray[1].0 - end).abs() < 15.0, "{ray:?}");
    let near = signal.iter().min_by(|a, b| (a.0 - x).abs().total_cmp(&(b.0 - x).abs())).unwrap();
    assert!((ray[0].1 - near.1).abs() < 1.0 && ray[1].1 > signal.last().unwrap().1 - 1.0);
    assert!(down.contains("<title>p 0.") && down.contains("50 % by 2023-11-15T"));
}

#[test]
fn a_forecast_goes_on_from_the_last_values() {
    let dir = tempfile::tempdir().unwrap();
    let wave = |hour: usize| ["10", "30", "20"][hour / 8 % 3];
    let row = |hours| (0..hours).map(wave).collect::<Vec<_>>().join(",");
    let table = format!("name,v1,v2\na/b,{},NA\na b,{}\nnone,\n", row(400), row(20));
    write(dir.path().join("series.csv"), table).unwrap();
    let arguments =
        ["profile", "series.csv", "--period", "1h", "--horizon", "30", "--out", "out.csv"];
    let pictures = drawn(&arguments, dir.path());
    let names: Vec<_> = pictures.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a_b-2.svg", "a_b.svg", "none.svg"]);
    let whole = &pictures[1].1;
    let (signal, median) = (&path(whole, "signal")[0], &path(whole, "middle")[0]);
    // A week before the last value, and 30 hours after it.
    let hour = WIDTH / 198.0;
    assert!((signal[0].0 - LEFT).abs() < 0.1 && signal.len() >= 169);
    assert!((median[0].0 - signal.last().unwrap().0 - hour).abs() < 0.2);
    assert!((median.last().unwrap().0 - (LEFT + WIDTH)).abs() < 0.1 && median.len() >= 30);
    for text in [">now<", ">+1d<", ">-1w<"] {
        assert!(whole.contains(text), "{text}");
    }
    // What nobody can foretell is not drawn.
    let few = &pictures[0].1;
    assert!(path(few, "signal")[0].len() >= 20 && path(few, "middle").is_empty());
    assert!(path(&pictures[2].1, "signal").is_empty());
}
