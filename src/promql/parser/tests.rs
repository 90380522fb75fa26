use super::*;

#[track_caller]
fn prints(text: &str, expected: &str) {
    match parse(text) {
        Ok(expr) => assert_eq!(expr.to_string(), expected, "{text}"),
        Err(errors) => panic!("{}", error_text(text, &errors)),
    }
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    let errors = parse(text).expect_err(text);
    assert_eq!(error_text(text, &errors), expected, "{text}");
}

#[test]
fn prints_as_upstream_does() {
    for same in [
        "up",
        r#"up{job="a",mode!~"b.*"}"#,
        r#"{"a.b"="c",__name__="my.name"}"#,
        "sum by (job) (rate(up[5m]))",
        "sum without (job) (up)",
        "topk(5, up)",
        "-a ^ b",
        "a ^ b ^ c",
        "a * on (x) group_left (y) b",
        "a == bool ignoring (x) b",
        "a + fill_left (1) fill_right (2) b",
        "rate(up[5m] @ 1.000 offset 1h)",
        "up @ start() offset -5m",
        "max_over_time(rate(up[1m])[1h:5m] @ end())",
        "up[5m] anchored",
        "1 + 2",
        "1h30m",
        "up offset (step() * 2)",
        "a atan2 b",
    ] {
        prints(same, same);
    }
    prints("SUM(up) BY (job)", "sum by (job) (up)");
    prints("sum by (job,) (up) # comment\n + 1", "sum by (job) (up) + 1");
    prints("up[300]", "up[5m]");
    prints("up[1h:]", "up[1h:]");
    prints("0x1F + 1_000 + .5e1 + Inf", "31 + 1000 + 5 + +Inf");
    prints(r#"{"my.name", x='y'}"#, r#"{__name__="my.name",x="y"}"#);
    prints("sum + by", "sum + by");
    prints("- 2 ^ 2", "-2 ^ 2");
    prints("up offset 100 + 2", "up offset 1m40s + 2");
    prints("fill + fill", "fill + fill");
    prints("`a\\n`", r#""a\\n""#);
}

#[test]
fn long_expressions_are_broken_into_lines() {
    let text = "sum by (job) (rate(http_requests_total{job=\"a\"}[5m])) / on (job) group_left (team) topk(5, avg_over_time(requests_expected{job=\"a\"}[5m]))";
    insta::assert_snapshot!(parse(text).unwrap().pretty(), @r#"
      sum by (job) (rate(http_requests_total{job="a"}[5m]))
    / on (job) group_left (team)
      topk(5, avg_over_time(requests_expected{job="a"}[5m]))
    "#);
    assert_eq!(parse("up+1").unwrap().pretty(), "up + 1");
}

#[test]
fn errors_say_where_what_and_what_was_meant() {
    fails(
        "raet(up[5m])",
        "1:1: parse error: unknown function with name \"raet\" (did you mean `rate`?)",
    );
    fails(
        "up{",
        "1:4: parse error: unexpected end of input in label matching, expected identifier or \"}\"",
    );
    fails(
        "{up}",
        "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator (a metric's name is quoted in braces: {\"up\"})",
    );
    fails(
        "rate(up)",
        "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector (rate(range vector): growth of a counter per second, extrapolated to the range)",
    );
    fails(
        "{a=\"\"}",
        "1:1: parse error: vector selector must contain at least one non-empty matcher (name a metric, or give a matcher that an absent label does not satisfy)",
    );
    fails(
        "1 > 2",
        "1:2: parse error: comparisons between scalars must use BOOL modifier (write `> bool`: the result is 0 or 1)",
    );
    fails("", "1:1: parse error: no expression found in input");
    fails("\"a", "1:1: parse error: unterminated quoted string");
    fails(
        "up up",
        "1:4: parse error: unexpected identifier \"up\", expected an operator or the end of the expression",
    );
    fails(
        "up{__name__=\"x\"}",
        "1:1: parse error: metric name must not be set twice: \"up\" or \"x\"",
    );
    fails("up[0s]", "1:4: parse error: duration must be greater than 0");
}

#[test]
fn a_prefix_ends_before_what_promql_cannot_take() {
    let check = |text: &str, expected: &str| {
        let (expr, end, errors) = parse_prefix(text, 0);
        assert!(expr.is_some(), "{}", error_text(text, &errors));
        assert_eq!(&text[..end], expected);
    };
    check("up page when value < 1", "up");
    check("rate(up[5m]) > 3 } \"unterminated", "rate(up[5m]) > 3");
    check("sum(up)\nby (job)\nticket when", "sum(up)\nby (job)");
    check("up offset 5m §", "up offset 5m");
    check("up = 3", "up");
    let (expr, end, errors) = parse_prefix("signal a / page when x", 7);
    assert!(expr.is_some() && errors.is_empty());
    assert_eq!(&"signal a / page when x"[..end], "signal a / page");
    let (expr, _, errors) = parse_prefix("xx rat(a) b", 3);
    assert!(expr.is_none());
    assert_eq!(errors[0].span, Span::new(3, 6));
}

#[test]
fn deep_or_long_texts_are_refused_and_harm_nothing() {
    for text in [
        "(".repeat(100_000),
        "-".repeat(100_000),
        "a^".repeat(100_000),
        format!("{}1", "1+".repeat(100_000)),
        "sum(".repeat(100_000),
        format!("up[{}", "(".repeat(100_000)),
        format!("up[{}1]", "1+".repeat(100_000)),
        format!("up offset {}", "-".repeat(100_000)),
        format!("up{}", "[1:]".repeat(100_000)),
    ] {
        assert!(parse(&text).is_err());
    }
    let chain = format!("{}1", "1+".repeat(500));
    assert_eq!(parse(&chain).unwrap().to_string(), chain.replace('+', " + "));
}

#[test]
fn selectors_and_matchers_stand_alone() {
    assert_eq!(parse_selector("up{a=\"b\"}").unwrap().len(), 2);
    for bad in ["up[5m]", "up offset 5m", "1", "sum(up)", "{}", ""] {
        assert!(parse_selector(bad).is_err(), "{bad}");
    }
    assert_eq!(parse_matchers("a=\"b\", c!~\"d\",").unwrap().len(), 2);
    assert!(parse_matchers("a=").is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_gives_an_answer(text in ".{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_words_give_an_answer(words in proptest::collection::vec(
        proptest::sample::select(vec!["up", "sum", "by", "(", ")", "{", "}", "[", "]", "5m", "1", "+",
            "-", "offset", "@", "on", "group_left", ":", ",", "\"a\"", "=", "=~", "rate", "fill", "bool"]), 0..20)) {
        let text = words.join(" ");
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            assert_eq!(parse(&printed).unwrap().to_string(), printed);
        }
    }
}
