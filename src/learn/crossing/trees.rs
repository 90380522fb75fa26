use super::features::FEATURES;

/// A node of a tree. What lies left of it stands next to it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    /// Left if the feature is at most `at`, else on at the node `right`.
    Split { feature: u8, at: f32, right: u8 },
    /// An end, and what it adds to the logit.
    Leaf(f32),
}

/// Boosted trees: p = 1 / (1 + exp(-(bias + what the leaf of each tree adds))).
///
/// Source: Friedman, "Greedy function approximation: a gradient boosting machine" (2001).
#[derive(Clone, Copy, Debug)]
pub(super) struct Trees {
    pub(super) bias: f64,
    pub(super) trees: &'static [&'static [Node]],
}

impl Trees {
    /// Returns the probability.
    pub(super) fn p(&self, features: &[f64; FEATURES]) -> f64 {
        let leaves: f64 = self.trees.iter().map(|tree| leaf(tree, features)).sum();
        1.0 / (1.0 + libm::exp(-(self.bias + leaves)))
    }
}

fn leaf(tree: &[Node], features: &[f64; FEATURES]) -> f64 {
    let mut at = 0;
    // A tree visits each node once at most.
    for _ in 0..tree.len() {
        match tree.get(at) {
            Some(Node::Split { feature, at: edge, right }) => {
                let goes_left = features[usize::from(*feature) % FEATURES] <= f64::from(*edge);
                at = if goes_left { at + 1 } else { usize::from(*right) };
            }
            Some(Node::Leaf(value)) => return f64::from(*value),
            None => break,
        }
    }
    0.0
}
