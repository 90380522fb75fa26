//! What the two languages accept, and what is said about mistakes.

use std::fmt::Write;

use super::{GroupSpec, LoadOptions, RuleSource, TemplatePlace, load};

fn check_template(text: &str, place: TemplatePlace) -> Result<(), String> {
    match (text, place) {
        ("{{ bad", _) => Err("unclosed action".to_owned()),
        (text, TemplatePlace::Label) if text.contains("$value") => Err("`$value` here".to_owned()),
        _ => Ok(()),
    }
}

/// There are three files.
fn read_file(path: &std::path::Path) -> std::io::Result<String> {
    const GOOD: &str = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:19700105\nDTEND:19700107\nEND:VEVENT\nEND:VCALENDAR\n";
    match path.to_str() {
        Some("days.ics" | "/etc/days.ics") => Ok(GOOD.to_owned()),
        Some("bad.ics") => Ok(GOOD.replace("19700105", "19701305")),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    }
}

fn options() -> LoadOptions {
    LoadOptions { check_template, read_file, default_interval_ms: 60_000 }
}

fn load_text(name: &str, text: &str) -> (Vec<GroupSpec>, String) {
    let sources = [RuleSource { name: name.to_owned(), text: text.to_owned() }];
    let (groups, diagnostics) = load(&sources, &options());
    (groups, diagnostics.iter().map(|found| found.render(&sources)).collect())
}

/// The diagnostics of a file in our language.
fn diagnostics(text: &str) -> String {
    load_text("a.rules", text).1
}

#[track_caller]
fn accepts(text: &str) -> GroupSpec {
    let (groups, diagnostics) = load_text("a.rules", text);
    assert_eq!(diagnostics, "", "{text}");
    groups.into_iter().next().expect("a good file is a group")
}

/// One rule with this body is refused with this message.
#[track_caller]
fn refuses(body: &str, expected: &str) {
    let found = diagnostics(&format!("rule A {{ {body} }}"));
    assert!(found.lines().next().is_some_and(|line| line == expected), "{body}\n{found}");
}

const HOST: &str = r#"
# rules/host.rules
defaults {
  every 30s
  labels team="platform"
}

# A name for an expression. Usable in any expression below it in this file. Nothing is stored.
let cpu_busy = 1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))

# A recording rule: the result is stored as a series of that name.
record instance:cpu_busy:ratio5m = cpu_busy

# Forecast: pages once, half a day ahead, and only when the forecast is sure.
rule DiskFills {
  signal  node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay"}
  unit    bytes
  page    when reaches 0 within 12h            clear when p < 50% for 1h
  ticket  when reaches 0 within 5d, p >= 70%
  ignore  while node_filesystem_avail_bytes / node_filesystem_size_bytes > 0.4
  until   1d of history use node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.08
  say     "{{ $labels.mountpoint }} on {{ $labels.instance }} is full in {{ $eta | humanizeDuration }}"
}

# Learned threshold: normal is what this service does at this hour of the week.
rule LatencyUnusual {
  signal  histogram_quantile(0.99, sum by (le, service) (rate(http_request_duration_seconds_bucket[5m])))
  unit    seconds
  page    when above normal by 20% for 10m     clear when inside normal for 5m
  ignore  below 150ms, while sum by (service) (rate(http_requests_total[5m])) < 1
  until   1w of history use value > 1s
}

# Leak towards the container's own limit.
rule LeaksToLimit {
  signal  max by (namespace, pod, container) (container_memory_working_set_bytes{container!=""})
  limit   max by (namespace, pod, container) (kube_pod_container_resource_limits{resource="memory"})
  ticket  when reaches limit within 2d, p >= 70%
  page    when reaches limit within 2h, p >= 90% for 15m
}

# A plain static rule in one line.
rule InstanceDown { signal up  page when value < 1 for 5m }
"#;

#[test]
fn the_examples_are_understood() {
    let group = accepts(HOST);
    assert_eq!((group.name.as_str(), group.interval_ms), ("a", Some(30_000)));
    let shown: Vec<String> = group.rules.iter().map(show).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    record instance:cpu_busy:ratio5m
    rule DiskFills = node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay"}
      page for 0 Clear { for_ms: 3600000 } [("team", "platform")] [("summary", "{{ $labels.mountpoint }} on {{ $labels.instance }} is full in {{ $eta | humanizeDuration }}")]
      ticket for 0 AtOnce [("team", "platform")] [("summary", "{{ $labels.mountpoint }} on {{ $labels.instance }} is full in {{ $eta | humanizeDuration }}")]
      when Reaches { crossing: 0, probability: 0.8, hold: Hold { slot: 0, sticky: false } } clear Some(ProbabilityBelow { crossing: 0, probability: 0.5 })
      when Reaches { crossing: 1, probability: 0.7, hold: Hold { slot: 1, sticky: true } } clear None
      forecasts [CrossingPlan { amount: Some(0.0), from: FromAbove, within_ms: 43200000, history_ms: 1209600000 }, CrossingPlan { amount: Some(0.0), from: FromAbove, within_ms: 432000000, history_ms: 1209600000 }]
    rule LatencyUnusual = histogram_quantile(0.99, sum by (le, service) (rate(http_request_duration_seconds_bucket[5m])))
      page for 600000 Clear { for_ms: 300000 } [("team", "platform")] []
      when Normal { side: Above, by: Share(0.2), hold: Hold { slot: 0, sticky: false } } clear Some(Inside)
      forecasts []
    rule LeaksToLimit = max by (namespace, pod, container) (container_memory_working_set_bytes{container!=""})
      page for 900000 AtOnce [("team", "platform")] []
      ticket for 0 AtOnce [("team", "platform")] []
      when Reaches { crossing: 0, probability: 0.9, hold: Hold { slot: 0, sticky: true } } clear None
      when Reaches { crossing: 1, probability: 0.7, hold: Hold { slot: 1, sticky: true } } clear None
      forecasts [CrossingPlan { amount: None, from: FromBelow, within_ms: 7200000, history_ms: 1209600000 }, CrossingPlan { amount: None, from: FromBelow, within_ms: 172800000, history_ms: 1209600000 }]
    rule InstanceDown = up
      page for 300000 AtOnce [("team", "platform")] []
      when Value(Less, 1.0) clear None
      forecasts []
    "#);
}

/// A rule in a few words.
fn show(rule: &super::RuleSpec) -> String {
    let super::RuleSpec::Alert(alert) = rule else { return format!("record {}", rule.name()) };
    let rule = &alert.rule;
    let mut text = format!("rule {} = {}", rule.name, rule.expr_text);
    for clause in &rule.clauses {
        let severity = clause.severity.as_deref().unwrap_or("-");
        let (labels, annotations) = (&clause.labels, &clause.annotations);
        let ending = clause.ending;
        writeln!(text).unwrap();
        write!(text, "  {severity} for {} {ending:?} {labels:?} {annotations:?}", clause.for_ms)
            .unwrap();
    }
    if let super::spec::Task::Forewarn(program) = &alert.task {
        for clause in &program.clauses {
            write!(text, "\n  when {:?} clear {:?}", clause.when, clause.clear).unwrap();
        }
        write!(text, "\n  forecasts {:?}", program.crossings).unwrap();
    }
    text
}

/// What the other examples have not.
const TUNED: &str = r#"
defaults { budget 2 pages per month  normal by hour of day tz "Europe/Berlin" holidays "days.ics" }
rule Unusual {
  signal   requests
  page     when above normal by 10% for 5m
  budget   1 page per week
  share    by (app, zone)
  identity without (pod,)
  expect   fires 2026-03-04..2026-03-05T02:10Z "the outage"
}
rule Low { signal requests  ticket when below normal  sensitivity low  identity by (app) }
test "a day" {
  load 5m
    requests{app="shop"} 10x100 90x20

  eval instant at 1h requests
    requests{app="shop"} 10
  at 10h expect Unusual{app="shop"} quiet
}
"#;

#[test]
fn what_tunes_a_rule_is_understood() {
    let group = accepts(TUNED);
    assert_eq!(group.tests.len(), 1);
    let budget = |rule: usize| match &group.rules[rule] {
        super::RuleSpec::Alert(alert) => alert.budget(),
        super::RuleSpec::Record(_) => None,
    };
    // The one in `defaults` is for rules that can use it.
    let (week, month) = (7 * 86_400_000, 30 * 86_400_000);
    assert_eq!((budget(0), budget(1)), (Some((1, week)), None));
    let without = TUNED.replace("budget   1 page per week", "");
    let super::RuleSpec::Alert(alert) = &accepts(&without).rules[0] else { panic!("no alert") };
    assert_eq!(alert.budget(), Some((2, month)));
}

#[test]
fn what_comes_later_says_so_and_hides_nothing() {
    insta::assert_snapshot!(diagnostics(r#"
rule DiskFills {
  signal   avail_bytes
  page     when reaches 0 within 12h
  override mountpoint="/var/lib/db" { limit 20GiB  page when reaches limit from above within 1d }
  say      "full"
}

rule Later {
  signal   up
  during   x y z
  page     when value > 5
}
rule Good { signal up page when value < 1 }
"#), @r#"
    error[R014]: `override` is not there yet
      --> a.rules:5:3
    5 |   override mountpoint="/var/lib/db" { limit 20GiB  page when reaches limit from above within 1d }
      |   ^^^^^^^^ known, but this version cannot do it
      help: leave it out for now
    error[R014]: `during` is not there yet
       --> a.rules:11:3
    11 |   during   x y z
       |   ^^^^^^ known, but this version cannot do it
       help: leave it out for now
    "#);
}

const LEARNERS: &str = r#"
# The odd one out among equals, each judged against its own usual offset.
rule HostDiffersFromPeers {
  signal  rate(node_disk_io_time_seconds_total[10m])
  peers   within (cluster, device)
  normal  by hour of day tz "Europe/Berlin"
  ticket  when differs from peers by 10% for 30m
  page    when differs from peers by 3 and value > 5  clear when inside normal
}

rule BackupLate { signal increase(backup_runs_total[15m])  ticket when is late }
rule HeartbeatGone { signal heartbeat_timestamp_seconds  ticket when is missing for 30m }
rule Shifted { signal queue_length  note when shifts or shifts by 5 }
rule Few { signal up  peers within (job,) at least 3  note when differs from peers  ignore under 20% }
"#;

#[test]
fn peers_and_habits_are_understood() {
    let group = accepts(LEARNERS);
    let shown: Vec<String> = group.rules.iter().map(show_learners).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    HostDiffersFromPeers
      when All([Differs { by: Absolute(3.0), hold: Hold { slot: 0, sticky: false } }, Value(Greater, 5.0)]) clear Some(Inside)
      when Differs { by: Share(0.1), hold: Hold { slot: 1, sticky: true } } clear None
      Some(NormalPlan { season: HourOfDay, calendar: CalendarPlan { zone: Some("Europe/Berlin"), holidays: [] }, from_ms: 2419200000, share: Without(["pod", "instance", "container_id", "uid", "endpoint"]) })
      Some(PeersPlan { within: ["cluster", "device"], at_least: 5, normal: NormalPlan { season: HourOfDay, calendar: CalendarPlan { zone: Some("Europe/Berlin"), holidays: [] }, from_ms: 2419200000, share: Without(["pod", "instance", "container_id", "uid", "endpoint"]) } })
      HabitPlan { samples: false, events: false, calendar: CalendarPlan { zone: None, holidays: [] } }
    BackupLate
      when Late clear None
      None
      None
      HabitPlan { samples: false, events: true, calendar: CalendarPlan { zone: None, holidays: [] } }
    HeartbeatGone
      when Missing clear None
      None
      None
      HabitPlan { samples: true, events: false, calendar: CalendarPlan { zone: None, holidays: [] } }
    Shifted
      when Any([Shifts { by: Absolute(0.0) }, Shifts { by: Absolute(5.0) }]) clear None
      Some(NormalPlan { season: HourOfWeek, calendar: CalendarPlan { zone: None, holidays: [] }, from_ms: 2419200000, share: Without(["pod", "instance", "container_id", "uid", "endpoint"]) })
      None
      HabitPlan { samples: false, events: false, calendar: CalendarPlan { zone: None, holidays: [] } }
    Few
      when Differs { by: Absolute(0.0), hold: Hold { slot: 0, sticky: true } } clear None
      None
      Some(PeersPlan { within: ["job"], at_least: 3, normal: NormalPlan { season: HourOfWeek, calendar: CalendarPlan { zone: None, holidays: [] }, from_ms: 2419200000, share: Without(["pod", "instance", "container_id", "uid", "endpoint"]) } })
      HabitPlan { samples: false, events: false, calendar: CalendarPlan { zone: None, holidays: [] } }
    "#);
}

#[test]
fn mistakes_in_tests_are_explained() {
    let found = diagnostics(
        "rule Down { signal up page when value < 1 }
test \"a\" {
  load 1m
    up 1x

  at 5m expect Dow firing
  at soon expect Down firing
  at 5m expect Down{ firing
  at 5m expect Down dead
  at 5m Down firing
  at 9y expect Down quiet
  eval instant at 1m
  nonsense
}
test \"b\" { load 1m
",
    );
    let lines: Vec<&str> = found.lines().filter(|line| line.contains("[R0")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    error[R027]: expected a repetition at "x"
    error[R027]: no rule `Dow` stands in this file
    error[R027]: not a duration: "soon"; write one like 30s, 5m or 1h30m (units y w d h m s ms, largest first)
    error[R027]: unexpected end of input in label matching, expected identifier or "}"
    error[R027]: an alert is never "dead"
    error[R027]: expected `expect` after the time
    error[R027]: no test goes on for more than a year
    error[R027]: expected one value in "nonsense"
    error[R001]: expected the end of the line here
    "#);
    assert_eq!(found.matches("did you mean `Down`?").count(), 1);
}

#[test]
fn expectations_have_spans_and_reasons() {
    let expect = "expect fires 2026-03-04..2026-03-05T02:10Z \"the outage\"  expect quiet 2026-03-04..2026-03-04";
    let group = accepts(&format!("rule A {{ signal up  page when value < 1  {expect} }}"));
    let super::RuleSpec::Alert(alert) = &group.rules[0] else { panic!("not an alert") };
    let day = 20_516 * 86_400_000;
    let found = alert.expectations.iter();
    let found: Vec<_> =
        found.map(|e| (e.fires, e.start_ms - day, e.end_ms - day, e.why.as_deref())).collect();
    assert_eq!(found, [(true, 0, 94_200_000, Some("the outage")), (false, 0, 86_400_000, None)]);
    assert_eq!(alert.expectations[1].text, "expect quiet 2026-03-04..2026-03-04");
}

#[test]
fn holidays_are_read_beside_the_rule_file() {
    let learners = |file: &str| {
        let normal = format!("normal by hour of day holidays \"{file}\"");
        let text = format!("rule A {{ signal up  {normal}  page when above normal or is late }}");
        show_learners(&accepts(&text).rules[0])
    };
    let shown = learners("days.ics");
    assert_eq!(shown.matches("holidays: [4, 5]").count(), 2, "{shown}");
    assert_eq!(learners("/etc/days.ics"), shown);
}

/// What a rule learns, and its conditions.
fn show_learners(rule: &super::RuleSpec) -> String {
    let super::RuleSpec::Alert(alert) = rule else { panic!("not an alert") };
    let super::spec::Task::Forewarn(program) = &alert.task else { panic!("not ours") };
    let mut text = alert.rule.name.clone();
    for clause in &program.clauses {
        write!(text, "\n  when {:?} clear {:?}", clause.when, clause.clear).unwrap();
    }
    let (normal, peers, habits) = (&program.normal, &program.peers, &program.habits);
    write!(text, "\n  {normal:?}\n  {peers:?}\n  {habits:?}").unwrap();
    text
}

#[test]
fn mistakes_are_explained() {
    insta::assert_snapshot!(diagnostics(r"
rule DiskFills {
  signal  avail
  page    when reaches 0
  forcast from 14d
  unit    byte
}
rule Two { signal a / page when value > 1 }
rul Three { signal up }
rule Four {
  signal up
  page when above 5

rule Five { signal rate(up) page when value > 1GB and value > 1s }
let sum = 1
"), @r#"
    error[R007]: `reaches` needs a time: add `within 4h`
      --> a.rules:4:16
    4 |   page    when reaches 0
      |                ^^^^^^^^^
    error[R012]: unknown clause `forcast`
      --> a.rules:5:3
    5 |   forcast from 14d
      |   ^^^^^^^ not a clause of `rule`
      help: did you mean `forecast`?
    error[R013]: unknown unit `byte`
      --> a.rules:6:11
    6 |   unit    byte
      |           ^^^^
      help: did you mean `bytes`?
    error[R012]: unknown clause `when`
      --> a.rules:8:28
    8 | rule Two { signal a / page when value > 1 }
      |                            ^^^^ not a clause of `rule`
      help: `page` was read as a metric: the expression above it ends in an operator that needs one more operand
    error[R001]: expected `normal` here
       --> a.rules:12:19
    12 |   page when above 5
       |                   ^
       help: to compare with an amount write `value > …`
    error[P004]: expected type range vector in call to function "rate", got instant vector
       --> a.rules:14:25
    14 | rule Five { signal rate(up) page when value > 1GB and value > 1s }
       |                         ^^
       help: rate(range vector): growth of a counter per second, extrapolated to the range
    error[R006]: a time such as 150ms beside bytes such as 20GiB: the amounts of a rule are all of its signal's unit
       --> a.rules:14:63
    14 | rule Five { signal rate(up) page when value > 1GB and value > 1s }
       |                                                               ^^
       help: add a `unit` clause that says what the signal is
    error[R015]: `sum` is a word of PromQL and cannot be a name
       --> a.rules:15:5
    15 | let sum = 1
       |     ^^^
    "#);
}

#[test]
fn each_rule_of_the_page_is_held() {
    refuses("page when value > 1", "error[R011]: `A` has no `signal`");
    refuses("signal up", "error[R011]: `A` says nowhere what is wrong");
    refuses("signal up signal up note when value > 1", "error[R010]: `signal` stands twice");
    refuses(
        "signal up page when reaches 1 within 1h and reaches 2 within 1h",
        "error[R017]: a clause holds at most one `reaches`",
    );
    refuses("signal up page when p < 50%", "error[R017]: `p < …` stands only in `clear when`");
    refuses(
        "signal up page when value > 1 clear when p < 50%",
        "error[R017]: `p < …` needs a `reaches` in the same clause",
    );
    refuses(
        "signal up page when reaches 1 within 1h clear when reaches 1 within 1h",
        "error[R017]: `reaches` cannot stand in `clear when`",
    );
    refuses(
        "signal up page when reaches limit within 1h",
        "error[R021]: `reaches limit` needs a `limit`",
    );
    refuses(
        "signal up page when value > 80%",
        "error[R006]: a percentage needs a `unit` to be a share of",
    );
    refuses(
        "signal up unit bytes page when value > 80%",
        "error[R006]: a percentage does not fit `unit bytes`",
    );
    refuses("signal up page when above normal by -1", "error[R005]: a distance cannot be negative");
    refuses(
        "signal up page when value > 1 labels rule=\"x\"",
        "error[R019]: the label `rule` is set by us",
    );
    refuses(
        "signal up page when value > 1 labels a=\"{{ $value }}\"",
        "error[R020]: the template does not parse: `$value` here",
    );
    refuses(
        "signal up page when value > 1 say \"{{ bad\"",
        "error[R020]: the template does not parse: unclosed action",
    );
    refuses(
        "signal up page when value > 1 say \"a\" annotations summary=\"b\"",
        "error[R010]: the annotation `summary` stands twice",
    );
    refuses(
        "signal up page when value > 1 every 90s",
        "error[R018]: `every` must be a multiple of the file's own interval, 1m",
    );
    refuses(
        "signal up page when above normal normal tz \"Mars\"",
        "error[R013]: unknown time zone \"Mars\"",
    );
    refuses(
        "signal up page when above normal normal tz \"Europe/Berlin\" holidays \"none.ics\"",
        "error[R025]: none.ics cannot be read: entity not found",
    );
    refuses(
        "signal up page when above normal normal holidays \"bad.ics\" from 7d",
        "error[R025]: bad.ics:3: \"19701305\" is no date",
    );
    refuses(
        "signal up[5m] page when value > 1",
        "error[R022]: `signal` needs an instant vector, this is a range vector",
    );
    refuses("signal up page when reaches 0 within 0s", "error[R008]: a duration of nothing");
    refuses(
        "signal up page when reaches 0 within 1h, p >= 0.8",
        "error[R009]: a probability is written as a percentage, such as 80%",
    );
    refuses(
        "signal up page when differs from peers",
        "error[R021]: `differs from peers` needs `peers`",
    );
    refuses(
        "signal up page when differs from peers peers within (job) at least 2",
        "error[R005]: peers are at least 3",
    );
    refuses("signal up page when differs from normal", "error[R001]: expected `peers` here");
    refuses("signal up page when is gone", "error[R001]: expected `missing` or `late` here");
    refuses("signal up page when above normal share (job)", "error[R001]: expected `by` here");
    refuses(
        "signal up page when value > 1 share by (job)",
        "warning[R040]: `share` is not used: no severity and no gate asks what is normal",
    );
    refuses(
        "signal up page when above normal sensitivity medium",
        "error[R001]: expected `low` or `high` here",
    );
    refuses(
        "signal up page when shifts sensitivity low",
        "warning[R040]: `sensitivity` is not used: no severity asks for a learned band",
    );
    refuses("signal up page when shifts by -1", "error[R005]: a distance cannot be negative");
    refuses(
        "signal up page when value > 1 peers within (job)",
        "warning[R040]: `peers` is not used: no severity says `differs from peers`",
    );
    refuses(
        "signal up page when value > 1 limit 5",
        "warning[R040]: `limit` is not used: no severity says `reaches limit`",
    );
}

#[test]
fn names_stand_for_expressions_of_any_type() {
    let group = accepts(
        "let busy = rate(cpu[5m]) > 0\nlet s = 5\nlet r = busy[1h:5m]\n\
         record a:b = vector(s) + max_over_time(r)\n\
         rule A { signal busy{job=\"x\"} unless s page when value > s }\n"
            .replace("busy{job=\"x\"} unless s", "busy")
            .replace("value > s", "value > 5")
            .as_str(),
    );
    let super::RuleSpec::Record(record) = &group.rules[0] else { panic!("not a record") };
    assert_eq!(record.expr_text, "vector((5)) + max_over_time(((rate(cpu[5m]) > 0)[1h:5m]))");
    let message = |text: &str| diagnostics(text).lines().next().unwrap_or("").to_owned();
    for (text, expected) in [
        (
            "let a = up\nrecord b = a{x=\"y\"}",
            "error[R016]: the name of a `let` cannot take matchers",
        ),
        (
            "let a = up\nrecord b = rate(a[5m])",
            "error[R016]: the name of a `let` cannot take a range",
        ),
        (
            "let a = up\nrecord b = a offset 5m",
            "error[R016]: the name of a `let` cannot take `offset` or `@`",
        ),
        ("let a = up\nlet a = up", "error[R015]: `a` is the name of a `let` above"),
        ("let a = up\nrecord a = up", "error[R015]: `a` is the name of a `let` above"),
        ("let rate = up", "error[R015]: `rate` is a word of PromQL and cannot be a name"),
        (
            "record a = up\ndefaults { every 1m }",
            "error[R023]: `defaults` stands once, as the file's first item",
        ),
    ] {
        assert_eq!(message(text), expected);
    }
}

#[test]
fn a_chain_of_names_does_not_grow_without_end() {
    let mut text = "let a0 = up + up\n".to_owned();
    for index in 1..60 {
        writeln!(text, "let a{index} = a{0} + a{0}", index - 1).unwrap();
    }
    assert!(diagnostics(&text).contains("error[R004]"));
}

#[test]
fn no_text_breaks_the_parser() {
    let deep = format!("rule A {{ signal up page when {}", "(".repeat(100_000));
    for text in [
        "",
        "\u{feff}",
        "rule",
        "rule A",
        "rule A {",
        "rule A { signal",
        "let x =",
        "}",
        "{",
        "record \"",
        "defaults { labels a=",
        "rule A { until 1d of history use value",
        "rule ü { ü }",
        "rule A { override x=\"}\" {",
        "test \"a\" {",
        "test \"a\" {\n",
        "test \"a\" {\n}",
        "test \"a\" {\nat 5m expect",
        "rule A { signal up page when value > 1 }\ntest \"ü\" {\n  at \n at é\n at 5m expect A \n ü\n }",
        "rule A { limit -",
        deep.as_str(),
    ] {
        load_text("a.rules", text);
    }
    for end in 0..HOST.len() {
        load_text("a.rules", &HOST[..end]);
    }
    for end in 0..TUNED.len() {
        load_text("a.rules", &TUNED[..end]);
    }
}

#[test]
fn alert_names_are_unique_over_all_files() {
    let source = |name: &str| RuleSource {
        name: name.to_owned(),
        text: "rule A { signal up page when value < 1 }".to_owned(),
    };
    let (groups, diagnostics) = load(&[source("a.rules"), source("b.rules")], &options());
    assert_eq!(groups.len(), 1);
    assert_eq!(diagnostics[0].diagnostic.message, "a rule `A` stands in a.rules:1 already");
}

const YAML: &str = r#"# a comment
groups:
  - name: node
    interval: 30s
    limit: 5
    labels: { team: infra, tier: 1 }
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: { team: "" }
      - alert: Down
        expr: |
          up
            == 0
        for: 5m
        keep_firing_for: 1m
        labels: { severity: page }
        annotations: { summary: "{{ $labels.job }} is down" }
"#;

#[test]
fn prometheus_files_load_unchanged() {
    let (groups, diagnostics) = load_text("node.rules", YAML);
    assert_eq!(diagnostics, "");
    let shown: Vec<String> = groups[0].rules.iter().map(show).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    record job:up:sum
    rule Down = up == 0
      - for 300000 Keep(60000) [("severity", "page"), ("team", "infra"), ("tier", "1")] [("summary", "{{ $labels.job }} is down")]
    "#);
    for text in ["", "groups:\n", "# nothing\n", "groups: []\n---\nrubbish: 1\n", "---\ngroups:\n"]
    {
        let (_, diagnostics) = load_text("a.yml", text);
        assert_eq!(diagnostics, "", "{text:?}");
    }
}

#[test]
fn mistakes_in_prometheus_files_are_explained() {
    let group = |rule: &str| format!("groups:\n- name: g\n  rules:\n  - {rule}\n");
    let both = "groups: [{name: g}, {name: g}]\n".to_owned();
    let texts = [
        group("{alert: A, expr: up, colour: red}"),
        group("{alert: A, record: b, expr: up}"),
        group("alert: A\n    expr: rat(up)"),
        group("alert: A\n    expr: up[5m]"),
        group("alert: A"),
        group("record: a\n    expr: up\n    for: 5m"),
        group("record: 'a{b}'\n    expr: up"),
        group("alert: A\n    expr: up\n    for: soon"),
        group("alert: A\n    expr: up\n    labels: {__name__: b}"),
        group("alert: A\n    expr: up\n    annotations: {a: '{{ bad'}"),
        both,
    ];
    let found: Vec<String> = texts.iter().map(|text| load_text("a.yml", text).1).collect();
    insta::assert_snapshot!(found.join("\n"), @r#"
    error[R030]: not a rule file in Prometheus' shape: groups[0].rules[0]: unknown field `colour`, expected one of `record`, `alert`, `expr`, `for`, `keep_firing_for`, `labels`, `annotations` at line 4 column 26
      --> a.yml:4:26
    4 |   - {alert: A, expr: up, colour: red}
      |                          ^

    error[R030]: group `g`: a rule has either `record` or `alert`, and not both
      --> a.yml:4:33
    4 |   - {alert: A, record: b, expr: up}
      |                                 ^^

    error[P003]: rule `A` of group `g`: unknown function with name "rat"
      --> a.yml:5:11
    5 |     expr: rat(up)
      |           ^^^
      help: did you mean `rad`?

    error[R022]: rule `A` of group `g`: `expr` yields a range vector, not an instant vector
      --> a.yml:5:11
    5 |     expr: up[5m]
      |           ^^^^^^

    error[R030]: rule `A` of group `g`: `expr` is missing
      --> a.yml:1:1
    1 | groups:
      | ^

    error[R030]: rule `a` of group `g`: a recording rule has no `for`
      --> a.yml:5:11
    5 |     expr: up
      |           ^^

    error[R015]: rule `a{b}` of group `g`: the name of a metric cannot hold braces
      --> a.yml:5:11
    5 |     expr: up
      |           ^^

    error[R008]: `for`: not a duration: "soon"; write one like 30s, 5m or 1h30m (units y w d h m s ms, largest first)
      --> a.yml:5:11
    5 |     expr: up
      |           ^^

    error[R019]: rule `A` of group `g`: `__name__` cannot be a label
      --> a.yml:5:11
    5 |     expr: up
      |           ^^

    error[R020]: rule `A` of group `g`: a template does not parse: unclosed action
      --> a.yml:5:11
    5 |     expr: up
      |           ^^

    error[R030]: the group `g` stands twice
      --> a.yml:1:1
    1 | groups: [{name: g}, {name: g}]
      | ^
    "#);
}
