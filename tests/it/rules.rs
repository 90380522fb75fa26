//! Rules against stored samples, and `forewarn check`.

use std::process::Command;

fn check_command(files: &[(&str, &str)]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        #[expect(clippy::disallowed_methods, reason = "test input")]
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .current_dir(dir.path())
        .arg("check")
        .args(files.iter().map(|(name, _)| *name))
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_says_what_is_wrong_and_sums_up() {
    let good =
        "rule A { signal up  page when value < 1 for 5m  say \"{{ $labels.job }} is down\" }";
    assert_eq!(check_command(&[("a.rules", good)]), (Some(0), "1 rule, 0 errors\n".to_owned()));
    let (code, text) = check_command(&[("b.rules", "rule A { signal up  page when reaches 0 }")]);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @r"
    error[R007]: `reaches` needs a time: add `within 4h`
      --> b.rules:1:31
    1 | rule A { signal up  page when reaches 0 }
      |                               ^^^^^^^^^

    0 rules, 1 error
    ");
    let (code, text) =
        check_command(&[("c.yml", "groups: [{name: g, rules: [{alert: A, expr: up}]}]")]);
    assert_eq!((code, text.as_str()), (Some(0), "1 rule, 0 errors\n"));
    let mut missing = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    let output = missing.args(["check", "/nowhere.rules"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
