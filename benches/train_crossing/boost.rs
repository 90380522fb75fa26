//! Gradient boosting of small trees on the logistic loss, over binned features.
//!
//! Source: Friedman, "Greedy function approximation: a gradient boosting machine" (2001) and
//! "Stochastic gradient boosting" (2002); leaf-wise growth over histograms as in Ke et al.,
//! "LightGBM" (2017).

use fastrand::Rng;
use forewarn::learn::FEATURES;

const TREES: usize = 100;
const LEAVES: usize = 12;
const RATE: f64 = 0.08;
const ROWS_MIN: f64 = 600.0;
const L2: f64 = 5.0;
/// Share of the features that a tree sees, so that none leans on a few that serve the known sources
/// best.
const SEES: f64 = 0.4;
const BINS: usize = 255;

/// An example: what the trees see, whether a crossing followed, and how much it counts.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) features: [f32; FEATURES],
    pub(crate) crossed: bool,
    pub(crate) weight: f64,
}

/// A node; what lies left of it stands next to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node {
    Split { feature: usize, at: f32, right: usize },
    Leaf(f32),
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) bias: f64,
    pub(crate) trees: Vec<Vec<Node>>,
}

impl Model {
    pub(crate) fn p(&self, features: &[f32; FEATURES]) -> f64 {
        let leaves: f64 = self.trees.iter().map(|tree| f64::from(leaf(tree, features))).sum();
        sigmoid(self.bias + leaves)
    }

    /// Returns the model that these rows teach.
    pub(crate) fn train(rows: &[Row]) -> Model {
        let edges: Vec<Vec<f32>> = (0..FEATURES).map(|feature| edges(rows, feature)).collect();
        let binned: Vec<Vec<u8>> = (0..FEATURES)
            .map(|feature| {
                let bin = |row: &Row| bin(&edges[feature], row.features[feature]);
                rows.iter().map(bin).collect()
            })
            .collect();
        let weight: f64 = rows.iter().map(|row| row.weight).sum();
        let crossed: f64 = rows.iter().filter(|row| row.crossed).map(|row| row.weight).sum();
        let bias = libm::log(crossed / (weight - crossed));
        let mut logits = vec![bias; rows.len()];
        let mut trees = Vec::new();
        let mut rng = Rng::with_seed(1);
        for _ in 0..TREES {
            let slopes: Vec<(f64, f64)> = rows
                .iter()
                .zip(&logits)
                .map(|(row, logit)| {
                    let p = sigmoid(*logit);
                    let off = p - f64::from(u8::from(row.crossed));
                    (row.weight * off, row.weight * p * (1.0 - p))
                })
                .collect();
            let sees = std::array::from_fn(|_| rng.f64() < SEES);
            let tree = Growing { binned: &binned, slopes: &slopes, sees }.grow(&edges);
            for (row, logit) in rows.iter().zip(&mut logits) {
                *logit += f64::from(leaf(&tree, &row.features));
            }
            trees.push(tree);
        }
        Model { bias, trees }
    }
}

pub(crate) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-logit))
}

fn leaf(tree: &[Node], features: &[f32; FEATURES]) -> f32 {
    let mut at = 0;
    loop {
        match tree[at] {
            Node::Split { feature, at: edge, right } => {
                at = if features[feature] <= edge { at + 1 } else { right };
            }
            Node::Leaf(value) => return value,
        }
    }
}

/// Returns the upper edges of a feature's bins: quantiles of some of the rows.
fn edges(rows: &[Row], feature: usize) -> Vec<f32> {
    let stride = (rows.len() / 50_000).max(1);
    let mut values: Vec<f32> =
        rows.iter().step_by(stride).map(|row| row.features[feature]).collect();
    values.sort_by(f32::total_cmp);
    let mut edges: Vec<f32> =
        (1..BINS).map(|bin| values[bin * (values.len() - 1) / BINS]).collect();
    edges.dedup();
    edges
}

fn bin(edges: &[f32], value: f32) -> u8 {
    edges.partition_point(|edge| *edge < value) as u8
}

/// Sums over the rows of a leaf, for each bin of each feature: slope, curvature, rows.
type Histogram = Vec<[(f64, f64, f64); BINS + 1]>;

struct Leaf {
    rows: Vec<u32>,
    histogram: Histogram,
    /// (gain, feature, bin)
    best: Option<(f64, usize, usize)>,
}

struct Growing<'a> {
    binned: &'a [Vec<u8>],
    /// Slope and curvature of the loss at each row.
    slopes: &'a [(f64, f64)],
    /// Which features may split.
    sees: [bool; FEATURES],
}

enum Branch {
    Split { feature: usize, bin: usize, left: usize, right: usize },
    Leaf(usize),
}

impl Growing<'_> {
    fn grow(&self, edges: &[Vec<f32>]) -> Vec<Node> {
        let all: Vec<u32> = (0..self.slopes.len() as u32).collect();
        let histogram = self.histogram(&all);
        let mut leaves = vec![self.leaf(all, histogram)];
        let mut branches = vec![Branch::Leaf(0)];
        while leaves.len() < LEAVES {
            let gain = |leaf: &Leaf| leaf.best.map_or(0.0, |(gain, ..)| gain);
            let Some(at) = (0..leaves.len())
                .max_by(|a, b| gain(&leaves[*a]).total_cmp(&gain(&leaves[*b])).then(b.cmp(a)))
            else {
                break;
            };
            let Some((_, feature, bin)) = leaves[at].best else { break };
            let (left, right) = self.split(&mut leaves[at], feature, bin);
            leaves[at] = left;
            leaves.push(right);
            let branch = branches
                .iter()
                .position(|branch| matches!(branch, Branch::Leaf(leaf) if *leaf == at))
                .unwrap_or(0);
            let next = branches.len();
            branches.push(Branch::Leaf(at));
            branches.push(Branch::Leaf(leaves.len() - 1));
            branches[branch] = Branch::Split { feature, bin, left: next, right: next + 1 };
        }
        let mut nodes = Vec::new();
        Growing::lay_out(&branches, 0, &leaves, edges, &mut nodes);
        nodes
    }

    /// Writes a branch and what hangs on it, left before right.
    fn lay_out(
        branches: &[Branch],
        at: usize,
        leaves: &[Leaf],
        edges: &[Vec<f32>],
        into: &mut Vec<Node>,
    ) {
        match &branches[at] {
            Branch::Leaf(leaf) => {
                let (slope, curve) = total(&leaves[*leaf].histogram);
                into.push(Node::Leaf((-RATE * slope / (curve + L2)) as f32));
            }
            Branch::Split { feature, bin, left, right } => {
                let here = into.len();
                into.push(Node::Leaf(0.0));
                Growing::lay_out(branches, *left, leaves, edges, into);
                let right_at = into.len();
                into[here] =
                    Node::Split { feature: *feature, at: edges[*feature][*bin], right: right_at };
                Growing::lay_out(branches, *right, leaves, edges, into);
            }
        }
    }

    fn histogram(&self, rows: &[u32]) -> Histogram {
        let of = |feature: usize| {
            let mut bins = [(0.0, 0.0, 0.0); BINS + 1];
            // The first holds the totals, seen or not.
            if feature > 0 && !self.sees[feature] {
                return bins;
            }
            let binned = &self.binned[feature];
            for row in rows {
                let (slope, curve) = self.slopes[*row as usize];
                let bin = &mut bins[usize::from(binned[*row as usize])];
                *bin = (bin.0 + slope, bin.1 + curve, bin.2 + 1.0);
            }
            bins
        };
        // The order of sums is that of the rows, however many threads there are.
        let half = FEATURES / 2;
        std::thread::scope(|scope| {
            let second = scope.spawn(|| (half..FEATURES).map(of).collect::<Histogram>());
            let mut first: Histogram = (0..half).map(of).collect();
            first.extend(second.join().expect("summing cannot fail"));
            first
        })
    }

    fn leaf(&self, rows: Vec<u32>, histogram: Histogram) -> Leaf {
        let (slope, curve) = total(&histogram);
        let score = |slope: f64, curve: f64| slope * slope / (curve + L2);
        let mut best: Option<(f64, usize, usize)> = None;
        let seen = histogram.iter().enumerate().filter(|(feature, _)| self.sees[*feature]);
        for (feature, bins) in seen {
            let mut left = (0.0, 0.0, 0.0);
            for (at, bin) in bins.iter().enumerate().take(BINS) {
                left = (left.0 + bin.0, left.1 + bin.1, left.2 + bin.2);
                if bin.2 == 0.0 || left.2 < ROWS_MIN || rows.len() as f64 - left.2 < ROWS_MIN {
                    continue;
                }
                let gain = score(left.0, left.1) + score(slope - left.0, curve - left.1)
                    - score(slope, curve);
                if gain > best.map_or(1e-9, |(gain, ..)| gain) {
                    best = Some((gain, feature, at));
                }
            }
        }
        Leaf { rows, histogram, best }
    }

    fn split(&self, leaf: &mut Leaf, feature: usize, bin: usize) -> (Leaf, Leaf) {
        let binned = &self.binned[feature];
        let (left, right): (Vec<u32>, Vec<u32>) =
            leaf.rows.iter().partition(|row| usize::from(binned[**row as usize]) <= bin);
        let small = if left.len() <= right.len() { &left } else { &right };
        let of_small = self.histogram(small);
        let of_large: Histogram = leaf
            .histogram
            .iter()
            .zip(&of_small)
            .map(|(all, part)| {
                std::array::from_fn(|bin| {
                    let (all, part) = (all[bin], part[bin]);
                    (all.0 - part.0, all.1 - part.1, all.2 - part.2)
                })
            })
            .collect();
        let (of_left, of_right) =
            if left.len() <= right.len() { (of_small, of_large) } else { (of_large, of_small) };
        (self.leaf(left, of_left), self.leaf(right, of_right))
    }
}

fn total(histogram: &Histogram) -> (f64, f64) {
    histogram[0].iter().fold((0.0, 0.0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1))
}
