//! Which elements of another expression apply to a series: those whose labels it all carries.

use std::collections::HashMap;

use crate::series::Labels;

/// Elements by the names of their labels, then by labels.
#[derive(Debug)]
pub(super) struct Joined<T> {
    shapes: Vec<Shape<T>>,
}

/// Label names, and the elements that have just these.
type Shape<T> = (Vec<String>, HashMap<Labels, Vec<T>>);

impl<T> Joined<T> {
    /// Takes elements whose labels have no metric name.
    pub(super) fn new(elements: impl IntoIterator<Item = (Labels, T)>) -> Joined<T> {
        let mut shapes: Vec<Shape<T>> = Vec::new();
        for (labels, value) in elements {
            let same = |names: &[String]| labels.iter().map(|(name, _)| name).eq(names);
            let at = shapes.iter().position(|(names, _)| same(names)).unwrap_or_else(|| {
                let names = labels.iter().map(|(name, _)| name.to_owned()).collect();
                shapes.push((names, HashMap::new()));
                shapes.len() - 1
            });
            shapes[at].1.entry(labels).or_default().push(value);
        }
        Joined { shapes }
    }

    /// Returns every element that applies to the series.
    pub(super) fn of(&self, series: &Labels) -> impl Iterator<Item = &T> {
        self.shapes
            .iter()
            .filter_map(|(names, by_labels)| by_labels.get(&series.keep(names)))
            .flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_applies_where_all_its_labels_are_carried() {
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        let joined = Joined::new([
            (labels(&[]), 0),
            (labels(&[("job", "a")]), 1),
            (labels(&[("job", "b")]), 2),
            (labels(&[("job", "a"), ("zone", "x")]), 3),
        ]);
        let of = |series: &Labels| joined.of(series).copied().collect::<Vec<_>>();
        assert_eq!(of(&labels(&[("job", "a"), ("pod", "p")])), [0, 1]);
        assert_eq!(of(&labels(&[("job", "a"), ("zone", "x")])), [0, 1, 3]);
        assert_eq!(of(&labels(&[])), [0]);
    }
}
