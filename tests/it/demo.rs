//! The newcomer's first minute.

use std::process::Command;

/// A Tuesday, 20:00 UTC.
const UNTIL: &str = "1764100800";

#[test]
fn every_trouble_is_foreseen_and_nothing_else_is_paged() {
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(["demo", "--exit", "--web.listen-address=127.0.0.1:0", "--until", UNTIL])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}\n{errors}");
    for warning in
        ["DiskFills: /var on db1", "MemoryLeak: search", "LatencyUnusual: p99 of checkout"]
    {
        assert!(text.contains(warning), "{warning} is missing:\n{text}");
    }
    let troubles = text.split("What happened on this Tuesday").nth(1).unwrap();
    assert_eq!(troubles.matches("page         ").count(), 3, "{text}");
    assert!(!troubles.contains("too late") && !troubles.contains("not at all"), "{text}");
    assert!(troubles.contains(": 0 false pages, 0 false tickets."), "{text}");
    assert!(errors.contains("Sending two weeks"), "{errors}");
}
