//! Which cases the measured tables consist of.

use octrt_compiler::Precision;
use serde::{Serialize, Serializer};

use super::case::Case;
use super::paper::{self, Published};
use crate::zoo::{Ablation, Down, Exchange, Style, ZooError};

/// The alphas of the paper's table 2.
pub const ALPHAS: [f64; 4] = [0.125, 0.25, 0.5, 0.75];
/// The paper's 740 pixels as a multiple of 32, and the others of its table 4 that are measured.
pub const SIZES: [usize; 5] = [256, 320, 448, 576, 736];
/// The rows of the paper's table 3.
const ABLATIONS: [Ablation; 5] = [
    Ablation { exchange: Exchange::Both, down: Down::Stride },
    Ablation { exchange: Exchange::None, down: Down::Average },
    Ablation { exchange: Exchange::LowToHigh, down: Down::Average },
    Ablation { exchange: Exchange::HighToLow, down: Down::Average },
    Ablation { exchange: Exchange::Both, down: Down::Average },
];
/// Alpha of table 3.
const ABLATED_ALPHA: f64 = 0.5;

/// A measured table of the paper. Serialises as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// ResNet-50 by alpha.
    Alphas,
    /// ResNet-50 without parts of its OctConvs.
    Ablation,
    /// ResNet-50 by size of the picture.
    Sizes,
    /// MobileNets.
    MobileNets,
}

impl Which {
    /// The number in the paper.
    pub fn number(self) -> usize {
        match self {
            Which::Alphas => 2,
            Which::Ablation => 3,
            Which::Sizes => 4,
            Which::MobileNets => 5,
        }
    }
}

impl Serialize for Which {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(self.number() as u64)
    }
}

/// What a user may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Alphas of the networks with OctConvs.
    pub alphas: Vec<f64>,
    /// Heights and widths of the picture in pixels.
    pub sizes: Vec<usize>,
    /// Numbers of threads.
    pub threads: Vec<usize>,
    /// Algorithms.
    pub precisions: Vec<Precision>,
    /// Style of residual blocks; none for the networks' own.
    pub style: Option<Style>,
}

/// A row to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// What is measured.
    pub case: Case,
    /// Position in the table of the vanilla network that it is held against.
    pub base: Option<usize>,
    /// What the paper says, of [`paper::MEASURED`] only.
    pub paper: Option<Published>,
}

/// A table to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Which one.
    pub which: Which,
    /// Its rows.
    pub entries: Vec<Entry>,
}

impl Plan {
    /// The table for each combination of threads and algorithms of the choice; ablations and MobileNets have their own
    /// alphas, MobileNets no style.
    ///
    /// # Errors
    /// [`ZooError::Unknown`] when the zoo lacks a network of the paper.
    pub fn new(which: Which, choice: &Choice) -> Result<Self, ZooError> {
        let mut entries = Vec::new();
        for &threads in &choice.threads {
            for &precision in &choice.precisions {
                for &size in &choice.sizes {
                    let style = choice.style.filter(|_| which != Which::MobileNets);
                    let place = |case| Case { style, size, precision, threads, ..case };
                    for (case, paper) in group(which, choice)? {
                        let case = place(case);
                        let paper = paper.filter(|_| (size, threads) == paper::MEASURED);
                        let base = (case.alpha.is_some())
                            .then(|| entries.iter().rposition(|e: &Entry| e.case.alpha.is_none()))
                            .flatten();
                        entries.push(Entry { case, base, paper });
                    }
                }
            }
        }
        Ok(Plan { which, entries })
    }
}

/// The cases at one size; each vanilla network comes before those that are held against it.
fn group(which: Which, choice: &Choice) -> Result<Vec<(Case, Option<Published>)>, ZooError> {
    let alphas = std::iter::once(0.0).chain(choice.alphas.iter().copied());
    let resnet = |alpha| Case::new("resnet50", alpha);
    match which {
        Which::Alphas => alphas.map(|a| Ok((resnet(a)?, paper::resnet50(a)))).collect(),
        Which::Sizes => alphas.map(|a| Ok((resnet(a)?, None))).collect(),
        Which::Ablation => {
            let vanilla = Ok((resnet(0.0)?, None));
            let octave = resnet(ABLATED_ALPHA)?;
            let ablated = ABLATIONS.map(|ablation| Ok((Case { ablation, ..octave }, None)));
            std::iter::once(vanilla).chain(ablated).collect()
        }
        Which::MobileNets => {
            let row = |(name, alpha, ms): (&str, f64, Option<f64>)| {
                let published = |ms| Published { ms, speedup: None, peak_fraction: None };
                Ok((Case::new(name, alpha)?, ms.map(published)))
            };
            paper::MOBILENETS.into_iter().map(row).collect()
        }
    }
}

/// All cases of the plans, each once.
pub fn cases(plans: &[Plan]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for entry in plans.iter().flat_map(|p| &p.entries) {
        if !cases.contains(&entry.case) {
            cases.push(entry.case);
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice() -> Choice {
        Choice {
            alphas: ALPHAS.to_vec(),
            sizes: vec![224],
            threads: vec![1, 2],
            precisions: vec![Precision::Strict, Precision::Default],
            style: Some(Style::V2),
        }
    }

    fn bases(plan: &Plan) -> Vec<Option<usize>> {
        plan.entries.iter().map(|e| e.base).collect()
    }

    #[test]
    fn octave_networks_are_held_against_the_vanilla_one_beside_them() {
        let plan = Plan::new(Which::Alphas, &choice()).unwrap();
        let group = |first: usize| std::iter::once(None).chain(std::iter::repeat_n(Some(first), 4));
        assert_eq!(bases(&plan), [0, 5, 10, 15].into_iter().flat_map(group).collect::<Vec<_>>());
        let like = |e: &Entry, b: &Entry| {
            let (e, b) = (e.case, b.case);
            (e.size, e.threads, e.precision, e.style) == (b.size, b.threads, b.precision, b.style)
        };
        assert!(plan.entries.iter().all(|e| e.base.is_none_or(|b| like(e, &plan.entries[b]))));
        let mobile = Plan::new(Which::MobileNets, &Choice { threads: vec![1], ..choice() }).unwrap();
        assert_eq!(bases(&mobile)[..8], [None, Some(0), None, Some(2), None, Some(4), None, Some(6)]);
        assert!(mobile.entries.iter().all(|e| e.case.style.is_none()));
    }

    #[test]
    fn the_paper_speaks_of_one_size_and_one_thread() {
        let published = |change: fn(&mut Choice)| {
            let mut choice = Choice { threads: vec![1], ..choice() };
            change(&mut choice);
            let plan = Plan::new(Which::Alphas, &choice).unwrap();
            plan.entries.iter().filter(|e| e.paper.is_some()).count()
        };
        assert_eq!((published(|_| ()), published(|c| c.alphas = vec![0.3])), (10, 2));
        assert_eq!((published(|c| c.threads = vec![2]), published(|c| c.sizes = vec![256])), (0, 0));
    }

    #[test]
    fn a_case_in_several_tables_is_measured_once() {
        let one = Choice { threads: vec![1], precisions: vec![Precision::Default], ..choice() };
        let plans = [Which::Alphas, Which::Ablation].map(|w| Plan::new(w, &one).unwrap());
        assert_eq!(plans.each_ref().map(|p| p.entries.len()), [5, 6]);
        assert_eq!(cases(&plans).len(), 5 + 4);
    }
}
