//! The tile nests that graphs compile to, written down so that those of another octrt can be held against them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use octrt::compiler::place::program::Nest;
use octrt::compiler::tile::text;
use octrt::compiler::{Isa, Options, Precision, Target, passes, pipeline};
use octrt::ops::Graph;

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

/// Collects nests: one text for each that differs from all before, and where each was met.
#[derive(Default)]
pub struct Nests {
    texts: BTreeMap<u64, String>,
    met: String,
}

impl Nests {
    /// The nests of a graph with known types, for all settings. Each must parse back to itself.
    pub fn collect(&mut self, source: &str, graph: &Graph) {
        for options in settings() {
            let (graph, _) = passes::optimize(graph, options.target).unwrap();
            let program = pipeline::program(&graph, options).unwrap();
            for nest in &program.nests {
                let Nest::Tile(nest) = nest else { continue };
                let text = nest.to_string();
                let hash = hash(&text);
                let (target, precision) = (options.target, options.precision);
                self.met += &format!("{source}\t{target}\t{precision:?}\t{}\t{hash:016x}\n", nest.name);
                if self.texts.contains_key(&hash) {
                    continue;
                }
                assert_eq!(text::parse(&text).as_ref(), Ok(nest), "{source} for {target}");
                self.texts.insert(hash, text);
            }
        }
    }

    /// Writes what was collected into a new folder `name` of the one that OCTRT_NESTS names; says how much there is.
    pub fn finish(self, name: &str) {
        let lines = self.met.lines().count();
        println!("{name}: {lines} nests, {} of them different", self.texts.len());
        assert!(lines > 100, "too few nests");
        let Some(folder) = std::env::var_os("OCTRT_NESTS").map(|f| PathBuf::from(f).join(name)) else {
            return;
        };
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("met.tsv"), &self.met).unwrap();
        for (hash, text) in &self.texts {
            std::fs::write(folder.join(format!("{hash:016x}.txt")), text).unwrap();
        }
    }
}
