use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Few label sets are longer, in bytes.
const USUAL_LEN: usize = 512;

/// An immutable label set, sorted by name, without empty values; cloning is one counter.
///
/// Held as one text: for each label the name's length, the name, the value's length, the value;
/// lengths as base-64 digits in ASCII control and printable range, so that the whole stays UTF-8
/// and every part can be lent as `&str` without a check per byte.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// Returns the label set without labels.
    pub fn empty() -> Labels {
        Labels(Arc::from(""))
    }

    /// Builds a set from pairs in any order. Empty values are dropped; of a name given twice the
    /// last one counts.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Labels {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Builds a set from pairs that are sorted by name, without repeated names and without empty
    /// values; the caller has checked that.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let mut text = String::with_capacity(USUAL_LEN);
        let mut before: Option<&str> = None;
        for (name, value) in pairs {
            debug_assert!(before.is_none_or(|before| before < name), "labels are not sorted");
            debug_assert!(!value.is_empty(), "a label without a value is no label");
            before = Some(name);
            push_text(&mut text, name);
            push_text(&mut text, value);
        }
        Labels(Arc::from(text))
    }

    /// Returns the value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(found, _)| *found >= name)
            .filter(|(found, _)| *found == name)
            .map(|l| l.1)
    }

    /// Returns the value of a label, empty where there is none, as matchers see it.
    pub fn value_or_empty(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// Returns the metric name.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Iterates over (name, value) in name order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// Returns the number of labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the set without `__name__`.
    #[must_use]
    pub fn without_metric_name(&self) -> Labels {
        self.filter(|name| name != METRIC_NAME)
    }

    /// Returns the labels named, and no others.
    #[must_use]
    pub fn keep(&self, names: &[impl AsRef<str>]) -> Labels {
        self.filter(|name| names.iter().any(|n| n.as_ref() == name))
    }

    /// Returns the set without the labels named.
    #[must_use]
    pub fn without(&self, names: &[impl AsRef<str>]) -> Labels {
        self.filter(|name| !names.iter().any(|n| n.as_ref() == name))
    }

    fn filter(&self, keeps: impl Fn(&str) -> bool) -> Labels {
        if self.iter().all(|(name, _)| keeps(name)) {
            return self.clone();
        }
        Labels::from_sorted(self.iter().filter(|(name, _)| keeps(name)))
    }

    /// Returns the set with one label changed; an empty value removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut builder = LabelsBuilder::from(self);
        builder.set(name, value);
        builder.build()
    }

    /// Returns the bytes that identify this set: equal sets have equal bytes. For hashing; their
    /// order is not the order of label sets.
    pub fn identity_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Default for Labels {
    fn default() -> Self {
        Labels::empty()
    }
}

/// Label by label: first the names, then the values; a prefix sorts first (as upstream).
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (&*self.0, &*other.0);
        let same = same_len(a.as_bytes(), b.as_bytes());
        // As far as the bytes are the same, so are the texts that they hold.
        loop {
            if a.is_empty() || b.is_empty() {
                return a.len().cmp(&b.len());
            }
            let (text, rest) = take_text(a);
            let read = self.0.len() - rest.len();
            if read > same {
                return text.cmp(take_text(b).0);
            }
            (a, b) = (rest, &other.0[read..]);
        }
    }
}

/// Returns how many bytes at the start of both are the same.
fn same_len(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 16;
    let steps = a.as_chunks::<STEP>().0.iter().zip(b.as_chunks::<STEP>().0);
    let at = STEP * steps.take_while(|(a, b)| a == b).count();
    at + a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count()
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As PromQL writes a selector: `name{a="b"}`, `{"a name",a="b"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let bare = name.filter(|name| is_legacy_metric_name(name));
        if let Some(name) = bare {
            f.write_str(name)?;
        }
        let mut first = true;
        let mut separate = |f: &mut fmt::Formatter<'_>| {
            let separator = if std::mem::take(&mut first) { "{" } else { ", " };
            f.write_str(separator)
        };
        if let (Some(name), None) = (name, bare) {
            separate(f)?;
            write!(f, "{}", Quoted(name))?;
        }
        for (name, value) in self.iter().filter(|(name, _)| *name != METRIC_NAME) {
            separate(f)?;
            if is_legacy_label_name(name) {
                write!(f, "{name}={}", Quoted(value))?;
            } else {
                write!(f, "{}={}", Quoted(name), Quoted(value))?;
            }
        }
        if first {
            return if bare.is_some() { Ok(()) } else { f.write_str("{}") };
        }
        f.write_str("}")
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Iterator over the labels of a set, in name order.
#[derive(Clone)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = take_text(self.rest);
        let (value, rest) = take_text(rest);
        self.rest = rest;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Collects changes to a label set.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>, // sorted by name
}

impl LabelsBuilder {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.binary_search_by(|(found, _)| found.as_str().cmp(name)) {
            Ok(at) if value.is_empty() => drop(self.pairs.remove(at)),
            Ok(at) => value.clone_into(&mut self.pairs[at].1),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// Returns the value set so far.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|(found, _)| found.as_str().cmp(name)).ok()?;
        Some(&self.pairs[at].1)
    }

    /// Returns the label set.
    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

impl From<&Labels> for LabelsBuilder {
    fn from(labels: &Labels) -> Self {
        LabelsBuilder {
            pairs: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }
}

/// Returns whether PromQL takes this metric name without quotes: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_legacy_metric_name(name: &str) -> bool {
    is_name(name, |c| c == b':')
}

/// Returns whether PromQL takes this label name without quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    is_name(name, |_| false)
}

fn is_name(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let start = |c: u8| c.is_ascii_alphabetic() || c == b'_' || also(c);
    let mut bytes = name.bytes();
    bytes.next().is_some_and(&start) && bytes.all(|c| start(c) || c.is_ascii_digit())
}

/// A length as base-64 digits, least first; bit 6 says that another digit follows.
fn push_text(text: &mut String, part: &str) {
    let mut rest = part.len();
    loop {
        let digit = (rest & 0x3f) as u8;
        rest >>= 6;
        text.push(char::from(if rest > 0 { digit | 0x40 } else { digit }));
        if rest == 0 {
            break;
        }
    }
    text.push_str(part);
}

#[inline]
fn take_text(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let (mut len, mut at) = (0usize, 0usize);
    loop {
        let digit = bytes[at];
        len |= usize::from(digit & 0x3f) << (6 * at);
        at += 1;
        if digit & 0x40 == 0 {
            break;
        }
    }
    (&text[at..at + len], &text[at + len..])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sorted_without_empty_values_and_last_of_two_wins() {
        let labels = Labels::from_pairs([("b", "1"), ("a", "2"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("aa"), None);
    }

    #[test]
    fn prints_as_a_selector() {
        let check = |pairs: &[(&str, &str)], expected: &str| {
            assert_eq!(Labels::from_pairs(pairs.iter().copied()).to_string(), expected);
        };
        check(&[], "{}");
        check(&[("__name__", "up")], "up");
        check(&[("__name__", "up"), ("job", "a\"b")], r#"up{job="a\"b"}"#);
        check(&[("__name__", "my metric"), ("a.b", "c")], r#"{"my metric", "a.b"="c"}"#);
    }

    proptest! {
        #[test]
        fn sorts_as_a_list_of_names_and_values_does(
            a in proptest::collection::btree_map("[ab]{1,3}", "[ab]{1,40}", 0..4),
            b in proptest::collection::btree_map("[ab]{1,3}", "[ab]{1,40}", 0..4),
            changed in "[ab]{1,40}",
            name in 0usize..4,
        ) {
            let check = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
                assert_eq!(Labels::from_pairs(a).cmp(&Labels::from_pairs(b)), a.iter().cmp(b.iter()));
            };
            check(&a, &b);
            let mut like_a = a.clone();
            check(&a, &like_a);
            if let Some(value) = like_a.values_mut().nth(name) {
                *value = changed;
            }
            check(&a, &like_a);
            like_a.pop_first();
            check(&like_a, &a);
        }

        #[test]
        fn holds_what_was_put_in(pairs in proptest::collection::btree_map(".{1,80}", ".{1,90}", 0..9)) {
            let labels = Labels::from_pairs(&pairs);
            let found: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(found, pairs.into_iter().collect::<Vec<_>>());
        }
    }
}
