use std::fmt;

use regex::Regex;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// One condition on one label, `name op "value"`. A label that is absent has the value "".
///
/// Regular expressions are RE2 syntax, anchored at both ends, and `.` matches a line break
/// (PromQL, as upstream).
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: Box<str>,
    /// How it is compared.
    pub op: MatchOp,
    /// What it is compared with: text, or the regular expression as written.
    pub value: Box<str>,
    regex: Option<Regex>,
}

/// A matcher whose regular expression cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("matcher {name}: the regular expression {pattern:?} is not valid: {reason}")]
pub struct MatcherError {
    name: Box<str>,
    pattern: Box<str>,
    reason: String,
}

impl Matcher {
    /// Builds a matcher; fails when the regular expression is not valid or grows beyond 1 MiB.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Matcher, MatcherError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let compiled = regex::RegexBuilder::new(&format!("^(?s:{value})$"))
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|error| MatcherError {
                        name: name.into(),
                        pattern: value.into(),
                        reason: error.to_string(),
                    })?;
                Some(compiled)
            }
        };
        Ok(Matcher { name: name.into(), op, value: value.into(), regex })
    }

    /// Builds `name="value"`, which cannot fail.
    pub fn equal(name: &str, value: &str) -> Matcher {
        Matcher { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Returns whether a label of this value (empty where absent) satisfies the matcher.
    pub fn matches(&self, value: &str) -> bool {
        let found = match &self.regex {
            None => *self.value == *value,
            Some(regex) => regex.is_match(value),
        };
        found == matches!(self.op, MatchOp::Equal | MatchOp::Regex)
    }

    /// Returns whether a series without the label satisfies the matcher.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// Returns the regular expression of `=~` and `!~`.
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Eq for Matcher {}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchored_and_dot_matches_newline() {
        let check = |op, pattern: &str, value: &str, expected: bool| {
            assert_eq!(Matcher::new("a", op, pattern).unwrap().matches(value), expected);
        };
        check(MatchOp::Regex, "a|b", "ab", false);
        check(MatchOp::Regex, "a.b", "a\nb", true);
        check(MatchOp::NotRegex, "a.*", "b", true);
        check(MatchOp::Equal, "", "", true);
        check(MatchOp::NotEqual, "", "x", true);
    }

    #[test]
    fn a_bad_or_huge_regex_is_an_error() {
        assert!(Matcher::new("a", MatchOp::Regex, "(").is_err());
        assert!(Matcher::new("a", MatchOp::Regex, "((a{1000}){1000}){1000}").is_err());
    }
}
