use super::*;
use crate::rules::Unit;

fn samples(expression: &str) -> Result<Vec<(Labels, f64)>, String> {
    let sample = |instance: &str, value| {
        (Labels::from_pairs([("__name__", "metric"), ("instance", instance)]), value)
    };
    match expression {
        "metric" => Ok(vec![sample("b", 21.0), sample("a", 11.0)]),
        "none" => Ok(Vec::new()),
        "text" => Ok(vec![(Labels::from_pairs([("__value__", "a string")]), 0.0)]),
        other => Err(format!("cannot evaluate {other:?}")),
    }
}

fn expand_with(value: f64, text: &str) -> Result<String, String> {
    let labels = Labels::from_pairs([("job", "api"), ("instance", "db1:9100")]);
    let external_labels = Labels::from_pairs([("region", "eu")]);
    let context = TemplateContext {
        labels: &labels,
        external_labels: &external_labels,
        external_url: "http://forewarn.example/base",
        at_ms: 1_500_000,
        query: &samples,
        numbers: Numbers {
            value: Some(value),
            eta_s: Some(5_400.0),
            unit: Unit::Bytes,
            ..Numbers::default()
        },
        since_ms: None,
    };
    parse(text, Vocabulary::Forewarn)
        .and_then(|template| template.expand(&context))
        .map_err(|error| error.to_string())
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(expand_with(11.0, text).as_deref(), Ok(*expected), "{text}");
    }
}

#[track_caller]
fn check_values(function: &str, cases: &[(f64, &str)]) {
    for (value, expected) in cases {
        let text = format!("{{{{ $value | {function} }}}}");
        assert_eq!(expand_with(*value, &text).as_deref(), Ok(*expected), "{function} {value}");
    }
}

#[track_caller]
fn check_errors(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = expand_with(11.0, text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

/// What promtool's own template engine said to the same texts.
#[test]
fn expands_as_promtool_does() {
    let sample = |instance: &str, value| {
        let labels = [("__name__", "metric"), ("instance", instance), ("job", "api")];
        (Labels::from_pairs(labels), value)
    };
    let query = |expression: &str| {
        Ok(match expression {
            "metric" => vec![sample("b", 21.0), sample("a", 11.0)],
            "metric{instance='b'}" => vec![sample("b", 21.0)],
            "scalar(vector(5))" => vec![(Labels::empty(), 5.0)],
            "1+1" => vec![(Labels::empty(), 2.0)],
            _ => Vec::new(),
        })
    };
    let context = TemplateContext {
        labels: &sample("a", 11.0).0,
        external_labels: &Labels::empty(),
        external_url: "",
        at_ms: 60_000,
        query: &query,
        numbers: Numbers { value: Some(11.0), ..Numbers::default() },
        since_ms: None,
    };
    let cases = include_str!("../../../testdata/templates/promtool.tsv");
    let cases: Vec<_> = cases.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(cases.len() > 400);
    for case in cases {
        let (text, expected) = case.split_once('\t').unwrap();
        let text: String = serde_json::from_str(text).unwrap();
        let expected: String = serde_json::from_str(expected).unwrap();
        let expanded = parse(&text, Vocabulary::Prometheus).unwrap().expand(&context);
        assert_eq!(expanded.unwrap_or_else(|_| "<error>".to_owned()), expected, "{text}");
    }
}

#[test]
fn text_actions_trimming_and_comments() {
    check(&[
        ("", ""),
        ("plain } text {", "plain } text {"),
        ("a {{ 1 }} b", "a 1 b"),
        ("a {{- 1 -}} b", "a1b"),
        ("a\n{{- /* gone */ -}}\nb", "ab"),
        ("a {{/* gone */}} b", "a  b"),
        ("{{\"{{\"}}", "{{"),
        ("{{-3}}", "-3"),
        ("{{ 1\n| print }}", "1"),
        ("{{ `raw\\n` }}", "raw\\n"),
        ("{{ \"\\u00e9\\t\\x41\" }}", "é\tA"),
        ("{{ 'a' }} {{ 0x1F }} {{ 1_000 }} {{ 1.5e3 }} {{ true }}", "97 31 1000 1500 true"),
        ("{{ nil | print }}", "<no value>"),
    ]);
}

#[test]
fn labels_and_values_by_variable_and_by_field() {
    check(&[
        ("{{ $labels.job }} {{ .Labels.job }} {{ index $labels \"job\" }}", "api api api"),
        ("[{{ $labels.missing }}]", "[]"),
        ("{{ $externalLabels.region }} {{ .ExternalLabels.region }}", "eu eu"),
        (
            "{{ $externalURL }} {{ .ExternalURL }}",
            "http://forewarn.example/base http://forewarn.example/base",
        ),
        ("{{ $value }} {{ .Value }}", "11 11"),
        ("{{ $labels }}", "map[instance:db1:9100 job:api]"),
        ("{{ $.Labels.job }}", "api"),
    ]);
}

#[test]
fn the_value_prints_as_in_go() {
    check_values(
        "print",
        &[
            (11.0, "11"),
            (0.1, "0.1"),
            (1e6, "1e+06"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-0.5, "-0.5"),
            (0.0, "0"),
            (1e300, "1e+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ],
    );
}

#[test]
fn control_flow() {
    check(&[
        ("{{ if eq $value 11.0 }}y{{ else }}n{{ end }}", "y"),
        ("{{ if false }}a{{ else if 0 }}b{{ else if \"x\" }}c{{ else }}d{{ end }}", "c"),
        ("{{ with $labels.job }}<{{ . }}>{{ end }}", "<api>"),
        ("{{ with $labels.none }}a{{ else with \"b\" }}{{ . }}{{ end }}", "b"),
        ("{{ with $x := 5 }}{{ $x }}{{ end }}", "5"),
        ("{{ range $i, $s := query \"metric\" }}{{ $i }}={{ $s.Value }} {{ end }}", "0=21 1=11 "),
        ("{{ range query \"none\" }}a{{ else }}empty{{ end }}", "empty"),
        (
            "{{ range $name, $v := $labels }}{{ $name }}={{ $v }};{{ end }}",
            "instance=db1:9100;job=api;",
        ),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        (
            "{{ range 9 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 4 }}{{ break }}{{ end }}{{ . }}{{ end }}",
            "023",
        ),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ range 3 }}{{ $x := . }}{{ end }}{{ $x }}", "1"),
        (
            "{{ define \"t\" }}[{{ . }}]{{ end }}{{ template \"t\" 5 }}{{ template \"t\" $labels.job }}",
            "[5][api]",
        ),
        (
            "{{ define \"t\" }}{{ .arg0 }}/{{ .arg1 }}/{{ .arg2 }}{{ end }}{{ template \"t\" (args 1 \"b\") }}",
            "1/b/<no value>",
        ),
        ("{{ block \"b\" 7 }}<{{ . }}>{{ end }}{{ template \"b\" 8 }}", "<7><8>"),
        ("{{ (index (query \"metric\") 1).Labels.instance }}", "a"),
    ]);
}

#[test]
fn built_in_functions() {
    check(&[
        ("{{ and 1 0 2 }} {{ and 1 2 }} {{ or 0 \"\" 3 }} {{ or 0 \"\" }}.", "0 2 3 ."),
        ("{{ and false (query \"broken\") }} {{ or true (query \"broken\") }}", "false true"),
        ("{{ not 0 }} {{ not \"a\" }}", "true false"),
        (
            "{{ eq 1 2 1 }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt 1 2 }} {{ ge 2.5 2 }}",
            "true true true true false true",
        ),
        ("{{ gt $value 10 }} {{ lt $value 10 }}", "true false"),
        ("{{ len \"abc\" }} {{ len $labels }} {{ len (query \"metric\") }}", "3 2 2"),
        ("{{ slice \"abcdef\" 1 3 }} {{ index \"a\" 0 }}", "bc 97"),
        ("{{ print 1 2 \"a\" 3 true }} {{ print \"a\" \"b\" }}", "1 2a3 true ab"),
        ("{{ println \"a\" 1 }}", "a 1\n"),
        ("{{ html \"<a href='x'>&\\\"\" }}", "&lt;a href=&#39;x&#39;&gt;&amp;&#34;"),
        ("{{ js \"it's <b>\" }}", "it\\'s \\u003Cb\\u003E"),
        ("{{ urlquery \"a b&c\" }} {{ urlQueryEscape \"ü/~\" }}", "a+b%26c %C3%BC%2F~"),
    ]);
}

#[test]
fn printf_as_in_go() {
    check(&[
        (
            "{{ printf \"%.2f|%8.3f|%-6.1f|%06.1f|%+.1f\" $value $value $value $value $value }}",
            "11.00|  11.000|11.0  |0011.0|+11.0",
        ),
        (
            "{{ printf \"%d|%5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c|%U\" 42 42 42 42 42 255 255 8 5 65 65 }}",
            "42|   42|42   |00042|+42|ff|FF|10|101|A|U+0041",
        ),
        (
            "{{ printf \"%s|%10s|%-5s|%.2s|%q\" \"abc\" \"abc\" \"abc\" \"abc\" \"a\\\"b\" }}",
            "abc|       abc|abc  |ab|\"a\\\"b\"",
        ),
        ("{{ printf \"%v %v %v %t %%\" 1.5 \"a\" true false }}", "1.5 a true false %"),
        (
            "{{ printf \"%e %g %.3g %E\" 123456789.0 123456789.0 123456789.0 1.5 }}",
            "1.234568e+08 1.23456789e+08 1.23e+08 1.500000E+00",
        ),
        ("{{ printf \"%d %s\" 1.5 2 }}", "%!d(float64=1.5) %!s(int=2)"),
        (
            "{{ printf \"%d\" }} {{ printf \"a\" 1 }} {{ printf \"%\" }}",
            "%!d(MISSING) a%!(EXTRA int=1) %!(NOVERB)",
        ),
        ("{{ printf \"%*d|%.*f\" 4 7 1 2.25 }}", "   7|2.2"),
        ("{{ $value | printf \"%.1f%%\" }}", "11.0%"),
    ]);
}

#[test]
fn query_and_its_elements() {
    check(&[
        ("{{ query \"metric\" | first | value }}", "21"),
        ("{{ query \"metric\" | first | label \"instance\" }}", "b"),
        ("{{ query \"metric\" | sortByLabel \"instance\" | first | value }}", "11"),
        ("{{ query \"text\" | first | strvalue }}", "a string"),
        ("{{ with query \"metric\" }}{{ . | first | value | humanize }}{{ end }}", "21"),
        (
            "{{ range query \"metric\" | sortByLabel \"instance\" }}{{ .Labels.instance }}:{{ .Value }};{{ end }}",
            "a:11;b:21;",
        ),
    ]);
    check_errors(&[
        ("{{ query \"none\" | first }}", "first: called on a vector with no elements"),
        ("{{ query \"broken\" }}", "cannot evaluate \"broken\""),
        ("{{ label \"a\" 5 }}", "wants an element of a query's result, not int"),
    ]);
}

#[test]
fn humanize_family() {
    check_values(
        "humanize",
        &[
            (0.0, "0"),
            (1.0, "1"),
            (1_234_567.0, "1.235M"),
            (0.123, "123m"),
            (1e-7, "100n"),
            (-1_500.0, "-1.5k"),
            (999.9, "999.9"),
            (1e30, "1e+06Y"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ],
    );
    check_values(
        "humanize1024",
        &[
            (0.0, "0"),
            (0.5, "0.5"),
            (1.0, "1"),
            (1024.0, "1ki"),
            (1_048_576.0, "1Mi"),
            (1.5e9, "1.397Gi"),
            (-2048.0, "-2ki"),
            (f64::NEG_INFINITY, "-Inf"),
        ],
    );
    check_values(
        "humanizeDuration",
        &[
            (0.0, "0s"),
            (1.0, "1s"),
            (60.0, "1m 0s"),
            (3_600.0, "1h 0m 0s"),
            (86_400.0, "1d 0h 0m 0s"),
            (86_400.0 + 3_600.0, "1d 1h 0m 0s"),
            (-(86_400.0 * 2.0 + 3_600.0 * 3.0 + 60.0 * 4.0 + 5.0), "-2d 3h 4m 5s"),
            (899.99, "14m 59s"),
            (0.1, "100ms"),
            (0.0001, "100us"),
            (0.012_345, "12.35ms"),
            (1.234_567, "1.235s"),
            (f64::NAN, "NaN"),
        ],
    );
    check_values(
        "humanizePercentage",
        &[(0.123, "12.3%"), (1.0, "100%"), (0.0, "0%"), (-0.22222, "-22.22%")],
    );
    check_values(
        "humanizeTimestamp",
        &[
            (1_643_114_203.0, "2022-01-25 12:36:43 +0000 UTC"),
            (1_435_065_584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
            (0.0, "1970-01-01 00:00:00 +0000 UTC"),
            (f64::INFINITY, "+Inf"),
        ],
    );
    check(&[(
        "{{ humanize \"1234\" }} {{ humanizeDuration 90 }} {{ humanizeDuration (toDuration 1.5) }}",
        "1.234k 1m 30s 1.5s",
    )]);
    check_errors(&[
        ("{{ humanize \"one\" }}", "cannot read \"one\" as a number"),
        ("{{ 1e300 | humanizeTimestamp }}", "does not fit into 64 bits of ns"),
    ]);
}

#[test]
fn times_and_durations() {
    check(&[
        ("{{ now }}", "1500"),
        ("{{ toTime 1643114203.5 }}", "2022-01-25 12:36:43.5 +0000 UTC"),
        ("{{ (toTime 1643114203).Format \"2006-01-02T15:04:05Z07:00\" }}", "2022-01-25T12:36:43Z"),
        ("{{ (toTime 1643114203).Format \"Mon Jan _2 3:04PM\" }}", "Tue Jan 25 12:36PM"),
        (
            "{{ (1643114203 | toTime).Year }} {{ (toTime 1643114203).Weekday }} {{ (toTime 5.5).Unix }}",
            "2022 Tuesday 5",
        ),
        (
            "{{ toDuration 3600 }} {{ toDuration 0.25 }} {{ toDuration 90.5 }} {{ toDuration 0 }}",
            "1h0m0s 250ms 1m30.5s 0s",
        ),
        ("{{ toDuration -0.0000015 }} {{ (toDuration 90).Minutes }}", "-1.5µs 1.5"),
        ("{{ parseDuration \"2h10m15s\" }} {{ parseDuration \"-90s\" }}", "7815 -90"),
    ]);
    check_errors(&[
        ("{{ parseDuration \"soon\" }}", "not a duration: \"soon\""),
        ("{{ toTime \"NaN\" }}", "NaN or Inf"),
    ]);
}

#[test]
fn text_functions() {
    check(&[
        ("{{ \"aa bB-CC\" | title }} {{ toUpper \"aB\" }} {{ toLower \"aB\" }}", "Aa BB-CC AB ab"),
        (
            "{{ stripPort \"localhost:9100\" }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"::1\" }} {{ stripPort \"host\" }}",
            "localhost ::1 ::1 host",
        ),
        (
            "{{ stripDomain \"db1.eu.example.com:9100\" }} {{ stripDomain \"db1.example.com\" }} {{ stripDomain \"10.0.0.1:80\" }} {{ stripDomain \"[::1]:80\" }}",
            "db1:9100 db1 10.0.0.1:80 [::1]:80",
        ),
        ("{{ match \"a+\" \"xaay\" }} {{ match \"^a\" \"xa\" }}", "true false"),
        (
            "{{ reReplaceAll \"(a)b\" \"x$1\" \"abab\" }} {{ reReplaceAll \"(a)(b)\" \"${2}_$1\" \"ab\" }}",
            "xaxa b_a",
        ),
        (
            "{{ graphLink \"up == 0\" }} {{ tableLink \"up\" }}",
            "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
        ),
        ("{{ externalURL }} {{ pathPrefix }}", "http://forewarn.example/base /base"),
        ("{{ safeHtml \"<b>\" }}", "<b>"),
    ]);
    check_errors(&[
        ("{{ match \"(\" \"a\" }}", "\"(\" is no regular expression"),
        ("{{ title 5 }}", "title: wants a string, not int"),
        ("{{ tmpl \"a\" . }}", "console templates only"),
    ]);
}

#[test]
fn absent_numbers_print_as_nothing() {
    check(&[
        (
            "[{{ $expected }}{{ $lower | humanize }}{{ $limit | humanize1024 }}{{ $since | humanizeTimestamp }}]",
            "[]",
        ),
        ("[{{ printf \"%.1f\" $score }}]", "[]"),
        ("{{ if $probability }}a{{ else }}none{{ end }}", "none"),
        ("{{ if gt $expected 5 }}a{{ else }}b{{ end }}", "b"),
        ("{{ $eta | humanizeDuration }} {{ $unit }}", "1h 30m 0s bytes"),
    ]);
}

#[test]
fn mistakes_are_found_when_parsing() {
    for (text, expected) in [
        ("{{", "1:1: unclosed action"),
        ("a\n {{ if true }}", "2:15: `if` without its `end`"),
        ("{{ end }}", "without an `if`"),
        ("{{ if true }}{{ else }}{{ else }}{{ end }}", "a second `else`"),
        (
            "{{ humanise $value }}",
            "1:4: function `humanise` is not defined; did you mean `humanize`?",
        ),
        ("{{ $vaule }}", "undefined variable `$vaule`; did you mean `$value`?"),
        ("{{ define \"t\" }}{{ $value }}{{ end }}", "undefined variable `$value`"),
        ("{{ /* a }}", "unclosed comment"),
        ("{{ \"a }}", "unclosed \""),
        ("{{ 1 2 }}", "cannot give an argument to what is no function"),
        ("{{ $value | 5 }}", "only a function or a method"),
        ("{{ (1 }}", "expected `)`, found }}"),
        ("{{ break }}", "`break` outside of `range`"),
        ("{{ 1x }}", "not a number: \"1x\""),
        ("{{ ; }}", "unexpected ';'"),
        ("{{ template t }}", "needs a name in quotes"),
        ("{{}}", "missing value in an action"),
    ] {
        let error = parse(text, Vocabulary::Prometheus).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(parse("{{ $value }}", Vocabulary::Labels).is_err());
    assert!(parse("{{ $eta }}", Vocabulary::Prometheus).is_err());
}

#[test]
fn runs_are_bounded() {
    check_errors(&[
        (
            "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
            "nested deeper than",
        ),
        ("{{ range 1000000000 }}{{ end }}", "steps"),
        ("{{ range 10000 }}{{ printf \"%1000d\" 1 }}{{ end }}", "longer than 65536 bytes"),
        ("{{ $x := args 1 }}{{ range 9 }}{{ $x = args $x $x }}{{ end }}", "args within args"),
        ("{{ template \"none\" }}", "template \"none\" is not defined"),
        ("{{ .Nothing }}", "no field Nothing"),
        ("{{ index (query \"none\") 3 }}", "3 is out of range, there are 0"),
    ]);
    let deep = format!("{}1{}", "{{ (".to_owned() + &"(".repeat(500), ")".repeat(501) + " }}");
    assert!(expand_with(1.0, &deep).unwrap_err().contains("nested deeper than 64"));
    let deep = "{{ if true }}".repeat(500);
    assert!(expand_with(1.0, &deep).unwrap_err().contains("nested deeper than 64"));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(parts in proptest::collection::vec(part(), 0..24)) {
        let _ = expand_with(1.5, &parts.concat());
    }
}

fn part() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let known = [
        "{{",
        "}}",
        "{{- ",
        " -}}",
        "{{ end }}",
        "{{ else }}",
        "if ",
        "range ",
        "with ",
        "define ",
        "template ",
        "block ",
        "break",
        "\"a\"",
        "`",
        "\"",
        "(",
        ")",
        "|",
        ":=",
        "=",
        ",",
        ".",
        "$",
        "$x",
        "$value",
        "$eta",
        ".Labels",
        " ",
        "\n",
        "1",
        "-1.5e9",
        "'a'",
        "/*",
        "*/",
        "index ",
        "slice ",
        "printf ",
        "\"%*.*d%s%q\"",
        "humanize ",
        "query ",
        "args ",
        "len ",
        "nil",
        "é",
        "toTime ",
    ];
    prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,4}"]
}
