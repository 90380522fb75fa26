//! `forewarn learn`: learners over files.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

pub(super) fn forewarn(arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.arg("learn").args(arguments).current_dir(dir).output().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "input, in a directory that goes away")]
pub(super) fn write(path: impl AsRef<Path>, text: impl AsRef<str>) -> std::io::Result<()> {
    std::fs::write(path, text.as_ref())
}

pub(super) fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn each_row_of_a_directory_is_judged_by_those_before() {
    let dir = tempfile::tempdir().unwrap();
    let row = |minute: i64| {
        let value = if minute >= 1_500 { 90.0 } else { 10.0 + (minute * 7919 % 13) as f64 / 10.0 };
        // A gap of an hour, and a row without a number.
        let time = 1_700_000_000 + (minute + if minute > 700 { 60 } else { 0 }) * 60;
        format!("{time},{}\n", if minute == 300 { String::new() } else { value.to_string() })
    };
    let table = |rows: i64| format!("timestamp,value\n{}", (0..rows).map(row).collect::<String>());
    std::fs::create_dir_all(dir.path().join("in/deep")).unwrap();
    write(dir.path().join("in/deep/long.csv"), table(1_600)).unwrap();
    write(dir.path().join("in/short.csv"), table(1_200)).unwrap();
    let output = forewarn(&["baseline", "in", "--out", "out"], dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let long = unpacked(&dir.path().join("out/deep/long.csv.gz"));
    let short = unpacked(&dir.path().join("out/short.csv.gz"));
    assert_eq!((long.lines().count(), short.lines().count()), (1_601, 1_201));
    // Nothing that comes later changes what was said.
    assert!(long.starts_with(&short));
    let said: Vec<Vec<&str>> = long.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(said[0], ["timestamp", "expected", "lower", "upper", "score", "alert"]);
    assert_eq!(said[1][..], ["1700000000", "", "", "", "0.000000", "0"]);
    assert_eq!(said[301][1..], ["", "", "", "0.000000", "0"]);
    let alerts =
        |rows: std::ops::Range<usize>| said[rows].iter().filter(|row| row[5] == "1").count();
    assert_eq!(alerts(1..1_501), 0);
    assert!(alerts(1_501..1_511) >= 8);
}

/// Writes a series of 20 hours that falls to its limit and one that stays away from it, and returns
/// the arguments that ask about them.
pub(super) fn near_and_still(dir: &Path, falling: &str) -> [&'static str; 10] {
    let values: Vec<_> = (0..1_200).map(|minute| (1_200 - minute).to_string()).collect();
    let (values, still) = (values.join(" "), vec!["7"; 1_200].join(" "));
    let series = format!("{falling},1700000100,60,{values}\nstill,1700000100,60,{still}\n");
    write(dir.join("series.csv"), series).unwrap();
    let limits = format!(
        r#"{{"series":{{"{falling}":{{"threshold":0,"dir":"le"}},"still":{{"threshold":8,"dir":"ge"}}}}}}"#
    );
    write(dir.join("limits.json"), limits).unwrap();
    [
        "crossing",
        "series.csv",
        "--limits",
        "limits.json",
        "--horizon",
        "4h",
        "--every",
        "5m",
        "--out",
        "out.csv",
    ]
}

#[test]
fn limits_that_come_near_are_foreseen_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = near_and_still(dir.path(), "down");
    let output = forewarn(&arguments, dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = std::fs::read_to_string(dir.path().join("out.csv")).unwrap();
    let firing = |name: &str| {
        let times = out.lines().filter(|line| line.starts_with(name) && line.contains(",1,"));
        times
            .map(|line| line.split(',').nth(1).unwrap().parse::<i64>().unwrap())
            .collect::<Vec<_>>()
    };
    assert!(firing("still").is_empty());
    let end = 1_700_000_100 + 1_200 * 60;
    let lead_min = (end - firing("down")[0]) / 60;
    assert!((150..=300).contains(&lead_min), "{lead_min}");
}

#[test]
fn series_in_files_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let wave = |hour: usize| ["10", "30", "20"][hour / 8 % 3];
    let row = |hours| (0..hours).map(wave).collect::<Vec<_>>().join(",");
    let table = format!("name,v1,v2\n\"up\",{},NA\nfew,{}\n", row(400), row(20));
    write(dir.path().join("series.csv"), table).unwrap();
    let arguments =
        ["profile", "series.csv", "--period", "1h", "--horizon", "30", "--out", "out.csv"];
    let output = forewarn(&arguments, dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = std::fs::read_to_string(dir.path().join("out.csv")).unwrap();
    let said: Vec<Vec<&str>> = out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((said.len(), &said[0][..]), (61, &["series", "h", "mean", "lo95", "hi95"][..]));
    for (ahead, row) in said[1..31].iter().enumerate() {
        assert_eq!(row[..2], ["up", &(ahead + 1).to_string()]);
        let [mean, lower, upper] = [2, 3, 4].map(|at| row[at].parse::<f64>().unwrap());
        let expected: f64 = wave(400 + ahead).parse().unwrap();
        assert!((mean - expected).abs() < 1.0 && lower <= expected && expected <= upper, "{row:?}");
    }
    assert!(said[31..].iter().all(|row| row[0] == "few" && row[2..] == ["", "", ""]));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], expected: &str| {
        let output = forewarn(arguments, dir.path());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && error.contains(expected), "{error}");
    };
    check(&["baseline", ".", "--out", "out"], "no .csv or .csv.gz file");
    write(dir.path().join("a.csv"), "time,value\n1,2\n").unwrap();
    check(
        &["baseline", "a.csv", "--out", "out"],
        "a.csv: the first row names no column \"timestamp\"",
    );
    write(dir.path().join("a.csv"), "timestamp,value\n1,2\nsoon,3\n").unwrap();
    check(&["baseline", "a.csv", "--out", "out"], "a.csv:3: \"soon\" is no time in seconds");
    write(dir.path().join("s.csv"), "x,0,60,1 2\ny,0,60\n").unwrap();
    write(dir.path().join("l.json"), r#"{"series":{"x":{"threshold":1,"dir":"ge"}}}"#).unwrap();
    let crossing = [
        "crossing",
        "s.csv",
        "--limits",
        "l.json",
        "--horizon",
        "1h",
        "--every",
        "5m",
        "--out",
        "o.csv",
    ];
    check(&crossing, "s.csv:2: not `name,start,step,value value");
    write(dir.path().join("l.json"), "{\"series\":\n{\"x\":1}}").unwrap();
    check(&crossing, "l.json:2: ");
    write(dir.path().join("p.csv"), "id,v1,v2\na,1,2\nb,1,two\n").unwrap();
    let profile = ["profile", "p.csv", "--period", "1h", "--horizon", "48", "--out", "o.csv"];
    check(&profile, "p.csv:3: \"two\" is no number (value 2)");
}
