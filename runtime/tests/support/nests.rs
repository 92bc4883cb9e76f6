//! The nests of calls that graphs compile to, written down so that those of another octrt can be held against them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use octrt_compiler::leaf::Program;
use octrt_compiler::nest::{BufferRole, Distance, Form, Loop, Nest, SlotValue, Stmt, text};
use octrt_compiler::{Isa, Options, Precision, Records, Target, passes, pipeline};
use octrt_ops::Graph;
use octrt_ops::expr::{BufId, VarId};

/// Every target with leaf programs, and every precision.
fn settings() -> impl Iterator<Item = Options> {
    let precisions = [Precision::Default, Precision::Strict];
    let of = move |isa| precisions.map(|precision| Options { target: Target::new(isa), precision });
    [Isa::V3, Isa::V4].into_iter().flat_map(of)
}

/// FNV-1a, 64 bits: the same in every build.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// A nest with names in the order of their use: buffers that are read, the result, scratch, then tables, equal ones once;
/// loops and leaf programs as they are met. Nests that differ in nothing else are equal then.
fn canonical(nest: &Nest) -> Nest {
    let with = |role: fn(&BufferRole) -> bool| {
        nest.buffers.iter().enumerate().filter(move |(_, b)| role(&b.role)).map(|(i, _)| i)
    };
    let order = with(|r| *r == BufferRole::Src).chain(with(|r| *r == BufferRole::Dst));
    let order = order.chain(with(|r| *r == BufferRole::Scratch)).collect();
    let mut names = Names { nest, order, loops: BTreeMap::new(), leaves: Vec::new() };
    let body = names.block(&nest.body);
    let buffers = names.order.iter().map(|i| nest.buffers[*i].clone()).collect();
    Nest { name: nest.name.clone(), buffers, leaves: names.leaves, body }
}

struct Names<'a> {
    nest: &'a Nest,
    order: Vec<usize>,
    /// New names; those of loops of one iteration are not among them.
    loops: BTreeMap<VarId, VarId>,
    leaves: Vec<Arc<Program>>,
}

impl Names<'_> {
    fn block(&mut self, stmts: &[Stmt]) -> Vec<Stmt> {
        stmts.iter().map(|s| self.stmt(s)).collect()
    }

    fn stmt(&mut self, s: &Stmt) -> Stmt {
        match s {
            Stmt::Loop(l, body) => {
                let id = if l.form == Form::Parallel { VarId(0) } else { self.fresh() };
                if l.extent > 1 {
                    self.loops.insert(l.id, id);
                }
                Stmt::Loop(Loop { id, ..l.clone() }, self.block(body))
            }
            Stmt::Call { leaf, slots } => {
                let program = &self.nest.leaves[*leaf];
                let known = self.leaves.iter().position(|l| l == program);
                let leaf = known.unwrap_or_else(|| {
                    self.leaves.push(program.clone());
                    self.leaves.len() - 1
                });
                Stmt::Call { leaf, slots: slots.iter().map(|v| self.value(v)).collect() }
            }
            Stmt::Define(_) => s.clone(),
        }
    }

    fn fresh(&self) -> VarId {
        VarId(self.loops.values().map(|l| l.0).max().unwrap_or(0) + 1)
    }

    fn value(&mut self, v: &SlotValue) -> SlotValue {
        let SlotValue::Pointer(b, at) = v else { return v.clone() };
        let buffers = &self.nest.buffers;
        let table = |i: usize| matches!(buffers[i].role, BufferRole::Table(_));
        let same = |i: &usize| *i == b.index() || table(*i) && buffers[*i] == buffers[b.index()];
        let known = self.order.iter().position(same);
        let name = known.unwrap_or_else(|| {
            self.order.push(b.index());
            self.order.len() - 1
        });
        // The parallel loop of one iteration has no name.
        let of = |(l, factor): &(VarId, i64)| Some((*self.loops.get(l)?, *factor));
        let mut terms: Vec<(VarId, i64)> = at.terms.iter().filter_map(of).collect();
        terms.sort_unstable();
        SlotValue::Pointer(BufId(name as u32), Distance { base: at.base, terms })
    }
}

/// Collects nests: one text for each that differs from all before, and where each was met.
#[derive(Default)]
pub struct Nests {
    texts: BTreeMap<u64, String>,
    met: String,
    /// By source, target and precision: names of nests and hashes of what they are but for names.
    canonical: BTreeMap<String, Vec<(String, u64)>>,
}

impl Nests {
    /// The nests of a graph with known types, for all settings. Each must parse back to itself.
    pub fn collect(&mut self, source: &str, graph: &Graph) {
        for options in settings() {
            let (graph, _) = passes::optimize(graph, options).unwrap();
            let program = pipeline::program(&graph, options, &Records::NONE).unwrap();
            let key = format!("{source}\t{}\t{:?}", options.target, options.precision);
            for nest in &program.nests {
                if nest.leaves.is_empty() {
                    continue;
                }
                let text = nest.to_string();
                let found = hash(&text);
                self.met += &format!("{key}\t{}\t{found:016x}\n", nest.name);
                let alike = hash(&canonical(nest).to_string());
                self.canonical.entry(key.clone()).or_default().push((nest.name.clone(), alike));
                if self.texts.contains_key(&found) {
                    continue;
                }
                assert_eq!(text::parse(&text).as_ref(), Ok(nest), "{source} for {}", options.target);
                self.texts.insert(found, text);
            }
        }
    }

    /// Writes what was collected into a new folder `name` of the one that OCTRT_NESTS names, and holds it against what another
    /// octrt wrote into the one that OCTRT_NESTS_BEFORE names; says how much there is.
    pub fn finish(self, name: &str) {
        let lines = self.met.lines().count();
        println!("{name}: {lines} nests, {} of them different", self.texts.len());
        assert!(lines > 100, "too few nests");
        let folder = |variable: &str| std::env::var_os(variable).map(|f| PathBuf::from(f).join(name));
        if let Some(before) = folder("OCTRT_NESTS_BEFORE") {
            self.compare(&before);
        }
        let Some(folder) = folder("OCTRT_NESTS") else { return };
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("met.tsv"), &self.met).unwrap();
        for (hash, text) in &self.texts {
            std::fs::write(folder.join(format!("{hash:016x}.txt")), text).unwrap();
        }
    }

    /// Says how many nests are those of before, but for names, and shows some that are not.
    fn compare(&self, before: &Path) {
        let met = std::fs::read_to_string(before.join("met.tsv")).unwrap();
        let mut old: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for line in met.lines() {
            let (rest, text) = line.rsplit_once('\t').unwrap();
            let (key, name) = rest.rsplit_once('\t').unwrap();
            old.entry(key).or_default().push((name, text));
        }
        let mut known: BTreeMap<&str, u64> = BTreeMap::new();
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut shown = 0;
        for (key, nests) in &self.canonical {
            let Some(old) = old.get(key.as_str()) else {
                *counts.entry(("no such source before", "")).or_default() += nests.len();
                continue;
            };
            for (i, (name, alike)) in nests.iter().enumerate() {
                let Some((_, text)) = old.get(i).filter(|(n, _)| n == name) else {
                    *counts.entry(("other nests", name.as_str())).or_default() += 1;
                    continue;
                };
                let was = *known.entry(text).or_insert_with(|| {
                    let text = std::fs::read_to_string(before.join(format!("{text}.txt"))).unwrap();
                    hash(&canonical(&text::parse(&text).unwrap()).to_string())
                });
                let what = if was == *alike { "equal" } else { "changed" };
                *counts.entry((what, name.as_str())).or_default() += 1;
                if was != *alike && shown < 5 {
                    shown += 1;
                    println!("changed: {key} {name}, was {text}");
                }
            }
        }
        for ((what, name), n) in counts {
            println!("{what} {name}: {n}");
        }
    }
}
