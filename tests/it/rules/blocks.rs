//! `test` blocks of rule files.

use std::process::Command;

use super::check_command;

const RULES: &str = r#"
rule QueueLong {
  signal queue_length
  page   when value > 100 for 5m
  note   when value > 50
}

test "a queue that is long for a while pages" {
  # Half an hour of it.
  load 1m
    queue_length{queue="mail"} 10x10 200x10 10x10
    queue_length{queue="logs"} 60x30

  eval instant at 15m sum(queue_length)
    {} 260

  at 5m expect QueueLong{queue="mail"} quiet
  at 12m expect QueueLong{queue="mail", severity="page"} pending
  at 17m expect QueueLong{queue=~"m.+", severity="page"} firing
  at 5m expect QueueLong{queue="logs"} firing
  at 25m expect QueueLong{queue="mail"} quiet
}
"#;

/// The exit code and what is printed.
fn test_command(rules: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "test input")]
    std::fs::write(dir.path().join("a.rules"), rules).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(["test", "a.rules"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn rules_are_tried_on_samples_of_the_file() {
    assert_eq!(check_command(&[("a.rules", RULES)]).0, Some(0));
    let (code, text) = test_command(RULES);
    assert_eq!((code, text.as_str()), (Some(0), "a.rules: 6 / 6\n6 passed, 0 failed\n"));
}

#[test]
fn what_is_not_as_expected_is_told_with_its_line() {
    let wrong = RULES.replace("{} 260", "{} 261").replace("at 17m expect", "at 12m expect");
    let (code, text) = test_command(&wrong);
    assert_eq!(code, Some(1));
    for told in [
        "a.rules:14: sum(queue_length)\n",
        "a.rules:19: at 12m expect QueueLong{queue=~\"m.+\", severity=\"page\"} firing\n    \
         {alertname=\"QueueLong\", queue=\"mail\", severity=\"page\"} is pending\n",
        "4 passed, 2 failed\n",
    ] {
        assert!(text.contains(told), "{told}\n{text}");
    }
    let fails = RULES.replace(
        "signal queue_length",
        "signal sum without () (queue_length) / on () group_left () queue_length",
    );
    let (code, text) = test_command(&fails);
    assert!(
        code == Some(1) && text.contains("QueueLong could not be evaluated: signal: "),
        "{text}"
    );
}

#[test]
fn what_is_learned_can_be_tried_too() {
    let rules = r#"
defaults { every 5m }
rule Unusual { signal latency  page when above normal by 50% }
test "two days are enough for a level" {
  load 5m
    latency 10 11 9 10 12 8 10 11x40 9x40 10x50 11x60 9x60 10x100 11x100 10x100 60x10 10x20

  at 46h expect Unusual quiet
  at 47h30m expect Unusual firing
}
"#;
    let (code, text) = test_command(rules);
    assert_eq!(code, Some(0), "{text}");
}
