//! Files of records: what `octrt tune` has measured, a JSON object a line.
//!
//! ```json
//! {"version":"0.1.0+9c94","cpu":"...","target":"x86-64-v4","problem":"mb1g1ic64...","algorithm":"f2","tiling":{"chunks":4},"ns":81250}
//! {"version":"0.1.0+9c94","cpu":"...","target":"x86-64-v4","problem":"model 5e1c...","ns":12345678}
//! ```
//!
//! A convolution has a line for each algorithm that was measured, with the fastest way to cut its loops; a whole model has
//! one for each target. Of lines that say the same of the same thing the last one counts. Nobody need trust such a file:
//! what does not serve a convolution is passed over by the compiler, and what is no record is counted and told.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use octrt_compiler::records::Convolution;
use octrt_compiler::strategy::conv::Algorithm;
use octrt_compiler::strategy::decision::{Decision, Order, Tiling};
use octrt_compiler::target::{Isa, Target};
use octrt_ops::Graph;
use octrt_ops::graph::text;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::processor::Processor;

/// The octrt whose records are used: its version and the fingerprint of its compiler, where what is named by a record is
/// decided.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{}+{}", env!("CARGO_PKG_VERSION"), octrt_compiler::FINGERPRINT));

/// Most bytes of a file, and of a line.
const MAX_FILE: u64 = 64 << 20;
const MAX_LINE: usize = 4 << 10;

/// What a record of a whole model begins with.
const MODEL: &str = "model ";

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "almost all of them are convolutions")]
pub enum Subject {
    /// A convolution that is carried out in a way.
    Convolution(Convolution, Decision),
    /// A whole model: see [`model_key`].
    Model(String),
}

/// What one measurement on this machine has told.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The instruction set of the code.
    pub isa: Isa,
    /// What was measured.
    pub subject: Subject,
    /// What it took, in nanoseconds.
    pub ns: u64,
}

/// By what records know a model: its graph without what its large constants hold.
pub fn model_key(graph: &Graph) -> String {
    let hash = blake3::hash(text::print(graph).as_bytes()).to_hex();
    hash.get(..32).unwrap_or_default().to_string()
}

/// A decision for a convolution as files have it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Choice {
    algorithm: String,
    #[serde(default, skip_serializing_if = "Cuts::is_none")]
    tiling: Cuts,
}

/// A [`Tiling`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Cuts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chunks: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vectors: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pixels: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<String>,
}

impl Cuts {
    fn is_none(&self) -> bool {
        *self == Cuts::default()
    }
}

impl From<Decision> for Choice {
    fn from(decision: Decision) -> Self {
        let Tiling { chunks, parts, vectors, pixels, order } = decision.tiling;
        let order = order.map(|o| o.to_string());
        Choice {
            algorithm: decision.algorithm.to_string(),
            tiling: Cuts { chunks, parts, vectors, pixels, order },
        }
    }
}

impl TryFrom<Choice> for Decision {
    type Error = String;
    fn try_from(choice: Choice) -> Result<Self, String> {
        let Choice { algorithm: name, tiling: Cuts { chunks, parts, vectors, pixels, order } } = choice;
        let algorithm = Algorithm::ALL.into_iter().find(|a| a.to_string() == name);
        let algorithm = algorithm.ok_or_else(|| format!("unknown algorithm '{name}'"))?;
        let known = |name: String| {
            let found = [Order::Pixels, Order::Channels].into_iter().find(|o| o.to_string() == name);
            found.ok_or_else(|| format!("unknown order '{name}'"))
        };
        let order = order.map(known).transpose()?;
        Ok(Decision { algorithm, tiling: Tiling { chunks, parts, vectors, pixels, order } })
    }
}

/// A line of a file.
#[derive(Debug, Deserialize, Serialize)]
struct Line {
    version: String,
    cpu: String,
    target: String,
    problem: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    algorithm: Option<String>,
    #[serde(default, skip_serializing_if = "Cuts::is_none")]
    tiling: Cuts,
    ns: u64,
}

impl Line {
    fn record(self) -> Result<Record, String> {
        let isa = self.target.parse::<Target>()?.isa;
        let subject = match (self.problem.strip_prefix(MODEL), self.algorithm) {
            (Some(key), None) => Subject::Model(key.to_string()),
            (Some(_), Some(_)) => return Err("a whole model has no algorithm".to_string()),
            (None, None) => return Err("a convolution without an algorithm".to_string()),
            (None, Some(algorithm)) => {
                let decision = Choice { algorithm, tiling: self.tiling }.try_into()?;
                Subject::Convolution(self.problem.parse()?, decision)
            }
        };
        Ok(Record { isa, subject, ns: self.ns })
    }
}

impl Record {
    /// The line of a file that says this of this machine, with its end.
    pub fn line(&self) -> String {
        let (problem, choice) = match &self.subject {
            Subject::Convolution(c, decision) => (c.to_string(), Some(Choice::from(*decision))),
            Subject::Model(key) => (format!("{MODEL}{key}"), None),
        };
        let (algorithm, tiling) = choice.map(|c| (c.algorithm, c.tiling)).unzip();
        let line = Line {
            version: VERSION.to_string(),
            cpu: Processor::this().to_string(),
            target: Target::new(self.isa).to_string(),
            problem,
            algorithm,
            tiling: tiling.unwrap_or_default(),
            ns: self.ns,
        };
        // Strings and numbers are always written.
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    }
}

/// Lines of a file that are not used, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unused {
    /// Records of other processors.
    pub other_cpu: usize,
    /// Records of other versions of octrt.
    pub other_version: usize,
    /// Lines that are no records.
    pub no_record: usize,
    /// The number of the first of these, from 1 on, and what is wrong with it.
    pub first: Option<(usize, String)>,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unused { other_cpu, other_version, no_record, first } = self;
        let mut parts = Vec::new();
        let cpu = Processor::this();
        parts.extend((*other_cpu > 0).then(|| format!("{other_cpu} of another CPU than {cpu}")));
        let version = || format!("{other_version} of another version than {}", *VERSION);
        parts.extend((*other_version > 0).then(version));
        let first = first.as_ref().map(|(line, why)| format!(", the first in line {line}: {why}"));
        let broken = || format!("{no_record} that are no records{}", first.unwrap_or_default());
        parts.extend((*no_record > 0).then(broken));
        f.write_str(&parts.join("; "))
    }
}

/// What was measured on this machine, by this version of octrt, as a file tells it.
#[derive(Clone, Debug, Default)]
pub struct Records(Arc<Contents>);

#[derive(Debug, Default)]
struct Contents {
    /// What each algorithm takes for a convolution, with the fastest way to cut its loops.
    convolutions: BTreeMap<(Isa, Convolution), BTreeMap<Algorithm, (u64, Decision)>>,
    models: BTreeMap<(String, Isa), u64>,
    unused: Unused,
}

impl Records {
    /// Reads a file. Lines that are not used are told in the log, and in [`Records::unused`].
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::TooLarge`] from 64 MiB on.
    pub fn read(path: impl AsRef<Path>) -> Result<Records, Error> {
        let path = path.as_ref();
        let io = |source: io::Error| Error::Io { path: path.to_path_buf(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_FILE {
            let message = format!("a file of records has at most {MAX_FILE} bytes");
            return Err(Error::TooLarge { model: path.display().to_string(), message });
        }
        let records = Records::parse(&bytes);
        if *records.unused() != Unused::default() {
            let unused = records.unused().to_string();
            tracing::warn!(file = %path.display(), "records are not used: {unused}");
        }
        Ok(records)
    }

    /// The records of a file's content.
    pub fn parse(bytes: &[u8]) -> Records {
        let mut contents = Contents::default();
        let cpu = Processor::this().to_string();
        for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let record = match line.len() > MAX_LINE {
                true => Err(format!("a line of {} bytes", line.len())),
                false => serde_json::from_slice::<Line>(line).map_err(|e| e.to_string()),
            };
            let unused = &mut contents.unused;
            match record {
                Ok(line) if line.version != *VERSION => unused.other_version += 1,
                Ok(line) if line.cpu != cpu => unused.other_cpu += 1,
                record => match record.and_then(Line::record) {
                    Ok(record) => contents.insert(record),
                    Err(why) => {
                        unused.no_record += 1;
                        unused.first.get_or_insert((i + 1, why));
                    }
                },
            }
        }
        Records(Arc::new(contents))
    }

    /// What is not used of the file.
    pub fn unused(&self) -> &Unused {
        &self.0.unused
    }

    /// What a convolution takes with code for an instruction set, in nanoseconds, and how it is carried out then; none where
    /// it was not measured.
    pub fn fastest_way(&self, isa: Isa, convolution: &Convolution) -> Option<(u64, Decision)> {
        self.0.convolutions.get(&(isa, *convolution))?.values().min().copied()
    }

    /// What a model, known by its [`model_key`], was measured to take with code for an instruction set, in nanoseconds.
    pub fn model_ns(&self, key: &str, isa: Isa) -> Option<u64> {
        self.0.models.get(&(key.to_string(), isa)).copied()
    }

    /// What the compiler is told for an instruction set: for each convolution the decisions, the fastest first.
    pub fn of(&self, isa: Isa) -> octrt_compiler::Records {
        let mut out = octrt_compiler::Records::NONE;
        for ((_, convolution), ways) in self.0.convolutions.iter().filter(|((i, _), _)| *i == isa) {
            let mut ways: Vec<(u64, Decision)> = ways.values().copied().collect();
            ways.sort_unstable();
            out.insert(*convolution, ways.into_iter().map(|(_, decision)| decision));
        }
        out
    }

    /// The instruction set with which a model was measured to be fastest; none where fewer than two were measured.
    pub(crate) fn fastest(&self, graph: &Graph) -> Option<Isa> {
        if self.0.models.is_empty() {
            return None;
        }
        let key = model_key(graph);
        let measured = [Isa::V2, Isa::V3, Isa::V4].map(|isa| Some((self.model_ns(&key, isa)?, isa)));
        let measured: Vec<(u64, Isa)> = measured.into_iter().flatten().collect();
        if measured.len() < 2 { None } else { measured.into_iter().min().map(|(_, isa)| isa) }
    }
}

impl FromIterator<Record> for Records {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut contents = Contents::default();
        records.into_iter().for_each(|record| contents.insert(record));
        Records(Arc::new(contents))
    }
}

impl Contents {
    fn insert(&mut self, record: Record) {
        let Record { isa, subject, ns } = record;
        match subject {
            Subject::Convolution(convolution, decision) => {
                let ways = self.convolutions.entry((isa, convolution)).or_default();
                ways.insert(decision.algorithm, (ns, decision));
            }
            Subject::Model(key) => {
                self.models.insert((key, isa), ns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: &str = "mb1g1ic64oc64id1ih56iw56od1oh56ow56kd1kh3kw3sd1sh1sw1dd0dh0dw0pd0ph1pw1";

    fn record(algorithm: Algorithm, chunks: Option<usize>, ns: u64) -> Record {
        let tiling = Tiling { chunks, order: chunks.map(|_| Order::Channels), ..Tiling::NONE };
        let subject = Subject::Convolution(PROBLEM.parse().unwrap(), Decision { algorithm, tiling });
        Record { isa: Isa::V3, subject, ns }
    }

    fn decisions(records: &Records, isa: Isa) -> Vec<Decision> {
        records.of(isa).get(&PROBLEM.parse().unwrap()).to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        let f2 = Algorithm::Winograd(octrt_compiler::leaf::programs::Winograd::F2);
        let all = [record(Algorithm::Direct, Some(8), 900), record(f2, None, 700)];
        let text: String = all.iter().map(Record::line).collect();
        let records = Records::parse(text.as_bytes());
        assert_eq!(*records.unused(), Unused::default(), "{text}");
        let direct = Decision {
            algorithm: Algorithm::Direct,
            tiling: Tiling { chunks: Some(8), order: Some(Order::Channels), ..Tiling::NONE },
        };
        assert_eq!(decisions(&records, Isa::V3), [f2.into(), direct]);
        assert_eq!(decisions(&records, Isa::V4), []);
        let convolution = PROBLEM.parse().unwrap();
        assert_eq!(records.fastest_way(Isa::V3, &convolution), Some((700, f2.into())));
        assert_eq!(records.fastest_way(Isa::V4, &convolution), None);
        // What is measured again counts.
        let again = text + &record(Algorithm::Direct, None, 600).line();
        assert_eq!(decisions(&Records::parse(again.as_bytes()), Isa::V3), [Decision::DIRECT, f2.into()]);
    }

    #[test]
    fn lines_of_other_machines_and_versions_are_counted_and_not_used() {
        let line = record(Algorithm::Direct, None, 1).line();
        let cpu = Processor::this().to_string();
        let other_cpu = line.replace(&cpu, "Z80");
        let other_version = line.replace(&*VERSION, "0.0.9");
        let text = [other_cpu.as_str(), &other_version, &other_cpu].concat();
        let records = Records::parse(text.as_bytes());
        let unused = records.unused();
        assert_eq!((unused.other_cpu, unused.other_version, unused.no_record), (2, 1, 0));
        assert_eq!(decisions(&records, Isa::V3), []);
        let said = format!("2 of another CPU than {cpu}; 1 of another version than {}", *VERSION);
        assert_eq!(unused.to_string(), said);
    }

    #[test]
    fn hostile_lines_are_counted_and_the_rest_is_read() {
        let good = record(Algorithm::Direct, None, 1).line();
        let long = format!("{}{}", " ".repeat(MAX_LINE), good);
        let deep = "[".repeat(MAX_LINE);
        let bad = [
            "{\n",
            "\u{0}\n",
            "null\n",
            &deep,
            "\n",
            &long,
            &good.replace("direct", "fft"),
            &good.replace("direct", "f2\",\"tiling\":{\"chunks\":-1},\"x\":\""),
            &good.replace("direct", "f2\",\"tiling\":{\"order\":\"none\"},\"x\":\""),
            &good.replace("mb1", "mb99999999999999999999"),
            &good.replace(PROBLEM, ""),
            &good.replace("x86-64-v3", "arm64"),
            &good.replace(PROBLEM, "model 12"),
            &good.replace("\"ns\":1", "\"ns\":1e99"),
        ];
        for (i, line) in bad.iter().enumerate().filter(|(_, line)| !line.trim_matches('\n').is_empty()) {
            let records = Records::parse(format!("{line}\n{good}").as_bytes());
            assert_eq!(records.unused().no_record, 1, "{i}: {line}");
            assert_eq!(records.unused().first.as_ref().unwrap().0, 1, "{i}");
            assert_eq!(decisions(&records, Isa::V3), [Decision::DIRECT], "{i}: {line}");
        }
        // A line whose end was never written.
        let torn = [good.as_bytes(), &good.as_bytes()[..good.len() / 2]].concat();
        let records = Records::parse(&torn);
        assert_eq!((records.unused().no_record, decisions(&records, Isa::V3).len()), (1, 1));
        assert!(records.unused().to_string().starts_with("1 that are no records, the first in line 2: "));
        assert_eq!(Records::parse(&[0xff; 100_000]).unused().no_record, 1);
    }

    #[test]
    fn a_model_is_fastest_as_records_say() {
        let graph = Graph::new("g".to_string());
        let key = model_key(&graph);
        let line = |key: &str, isa, ns| Record { isa, subject: Subject::Model(key.to_string()), ns }.line();
        let fastest = |lines: &[String]| Records::parse(lines.concat().as_bytes()).fastest(&graph);
        assert_eq!(fastest(&[]), None);
        assert_eq!(fastest(&[line(&key, Isa::V3, 5)]), None);
        assert_eq!(fastest(&[line(&key, Isa::V3, 5), line(&key, Isa::V4, 6)]), Some(Isa::V3));
        assert_eq!(fastest(&[line(&key, Isa::V3, 7), line(&key, Isa::V4, 6)]), Some(Isa::V4));
        assert_eq!(fastest(&[line("other", Isa::V3, 7), line("other", Isa::V4, 6)]), None);
    }

    #[test]
    fn a_file_of_records_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        assert!(matches!(Records::read(&path), Err(Error::Io { .. })));
        File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(matches!(Records::read(&path), Err(Error::TooLarge { .. })));
        std::fs::write(&path, record(Algorithm::Direct, None, 1).line()).unwrap();
        assert_eq!(decisions(&Records::read(&path).unwrap(), Isa::V3), [Decision::DIRECT]);
    }
}
