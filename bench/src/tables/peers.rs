//! Other runtimes: what a file that `bench/peers/peers.py --json` wrote says of ResNet-50.
//!
//! Times of different measurements are not to be compared; the file's own ratios of octrt to the others are, since they ran
//! turn by turn.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TablesError;
use crate::stats::{Ratio, Samples, by_round, flat};

/// The schema of the file.
const SCHEMA: &str = "octrt.peers/1";
/// The key of octrt among the runtimes.
const OCTRT: &str = "octrt";

/// Times of ResNet-50 in other runtimes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Peers {
    /// When they were taken, RFC 3339.
    pub date: String,
    /// By alpha, then runtime.
    pub rows: Vec<PeerRow>,
}

/// A runtime's times of one network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerRow {
    /// Part of the channels at low frequency, 0 for the vanilla network.
    pub alpha: f64,
    /// Name of the runtime.
    pub runtime: String,
    /// Its version.
    pub version: String,
    /// The middle of all runs in milliseconds.
    pub median_ms: f64,
    /// The fastest run in milliseconds.
    pub min_ms: f64,
    /// octrt's time over the runtime's in that measurement; none for octrt, and where it was not measured.
    pub ratio: Option<Ratio>,
}

#[derive(Deserialize)]
struct File {
    schema: String,
    date: String,
    titles: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
    results: Vec<Network>,
}

#[derive(Deserialize)]
struct Network {
    model: String,
    samples_ms: BTreeMap<String, Vec<Vec<f64>>>,
}

/// Reads a file.
///
/// # Errors
/// [`TablesError::Peers`] when it cannot be read, is no such file, or has no ResNet-50.
pub fn read(path: &Path) -> Result<Peers, TablesError> {
    let fail = |message: String| TablesError::Peers { path: path.to_path_buf(), message };
    let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    parse(&text).map_err(fail)
}

fn parse(text: &str) -> Result<Peers, String> {
    let file: File = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if file.schema != SCHEMA {
        return Err(format!("schema '{}', expected '{SCHEMA}'", file.schema));
    }
    let networks = file.results.iter().filter_map(|n| Some((alpha(&n.model)?, n)));
    let mut rows: Vec<PeerRow> = networks.flat_map(|(alpha, n)| of_network(&file, alpha, n)).collect();
    if rows.is_empty() {
        return Err("no resnet50, and no oct_resnet50_* of export_models.py".to_string());
    }
    rows.sort_by(|a, b| a.alpha.total_cmp(&b.alpha));
    Ok(Peers { date: file.date, rows })
}

fn of_network(file: &File, alpha: f64, network: &Network) -> Vec<PeerRow> {
    let rounds = |all: &[Vec<f64>]| -> Vec<Samples> { all.iter().cloned().map(Samples).collect() };
    let own = network.samples_ms.get(OCTRT).map(|all| by_round(&rounds(all)));
    let named = |names: &BTreeMap<String, String>, key: &str| names.get(key).map_or(key, |n| n).to_string();
    let row = |(key, all): (&String, &Vec<Vec<f64>>)| {
        let rounds = rounds(all);
        let times = flat(&rounds);
        let own = own.as_ref().filter(|_| key != OCTRT);
        PeerRow {
            alpha,
            runtime: named(&file.titles, key),
            version: file.versions.get(key).cloned().unwrap_or_default(),
            median_ms: times.median(),
            min_ms: times.min(),
            ratio: own.and_then(|own| Ratio::paired(own, &by_round(&rounds))),
        }
    };
    network.samples_ms.iter().map(row).collect()
}

/// The alpha of a network that `export_models.py` writes: digits after the point, as in `oct_resnet50_125`. None for other
/// networks, and for those of the second exporter.
fn alpha(model: &str) -> Option<f64> {
    if model == "resnet50" {
        return Some(0.0);
    }
    let digits = model.strip_prefix("oct_resnet50_")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| format!("0.{digits}").parse().ok()).flatten()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Of a file with made-up numbers.
    pub fn peers() -> Peers {
        parse(FILE).unwrap()
    }

    const FILE: &str = r#"{
        "schema": "octrt.peers/1", "date": "2026-01-01T00:00:00+00:00",
        "titles": {"octrt": "octrt", "a": "Runtime A"}, "versions": {"octrt": "0.1.0", "a": "7"},
        "results": [
            {"model": "oct_resnet50_50", "samples_ms": {"octrt": [[50, 40], [45, 45]], "a": [[90, 90], [90, 100]]}},
            {"model": "oct_resnet50_50_dynamo", "samples_ms": {"octrt": [[1]], "a": [[1]]}},
            {"model": "resnet50", "samples_ms": {"a": [[100, 120], [110, 110]]}},
            {"model": "squeezenet1_1", "samples_ms": {"octrt": [[1]], "a": [[1]]}}
        ]}"#;

    #[test]
    fn runtimes_are_held_against_octrt_in_their_own_measurement() {
        let peers = parse(FILE).unwrap();
        let short: Vec<_> =
            peers.rows.iter().map(|r| (r.alpha, r.runtime.as_str(), r.median_ms, r.min_ms)).collect();
        assert_eq!(
            short,
            [(0.0, "Runtime A", 110.0, 100.0), (0.5, "Runtime A", 90.0, 90.0), (0.5, "octrt", 45.0, 40.0)]
        );
        let ratios: Vec<_> =
            peers.rows.iter().map(|r| r.ratio.map(|r| (r.median * 1000.0).round())).collect();
        // 45 / 90 and 45 / 95.
        assert_eq!(ratios, [None, Some(487.0), None]);
    }

    #[test]
    fn other_files_are_refused() {
        let error = |text: &str| parse(text).unwrap_err();
        assert!(error("[]").contains("expected struct File"));
        assert_eq!(
            error(&FILE.replace("peers/1", "peers/2")),
            "schema 'octrt.peers/2', expected 'octrt.peers/1'"
        );
        assert!(error(&FILE.replace("resnet50", "vgg")).starts_with("no resnet50"));
        let missing = read(Path::new("no/such/file")).unwrap_err().to_string();
        assert!(missing.starts_with("no/such/file: "), "{missing}");
    }

    #[test]
    fn names_say_alphas() {
        let found =
            ["resnet50", "oct_resnet50_125", "oct_resnet50_5_dynamo", "oct_resnet50_", "resnet50_folded"];
        assert_eq!(found.map(alpha), [Some(0.0), Some(0.125), None, None, None]);
    }
}
