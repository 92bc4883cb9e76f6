//! `octrt eval`: the accuracy of a classifier on a set of labelled pictures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use octrt::classify::{self, Class, Scores};
use octrt::image::{Preprocessing, SideFile};
use octrt::{Labels, Model, Session, TensorRef};
use octrt_ops::Dim;
use serde::Serialize;

use crate::args::{EvalArgs, Format};
use crate::dataset::{Dataset, Item};
use crate::failure::{self, Failure};
use crate::model::{self, Dims};
use crate::output;
use crate::preprocessing;
use crate::tensor_files::from_f32s;

/// Classes among which the right one must be for top-5.
const BEST: usize = 5;

#[derive(Serialize)]
struct Report {
    schema: String,
    model: String,
    pictures: usize,
    skipped: usize,
    top1: f64,
    top5: f64,
    /// By label, in order.
    classes: Vec<ClassReport>,
    batch: usize,
    preprocessing: Preprocessing,
    seconds: f64,
}

#[derive(Default, Serialize)]
struct ClassReport {
    label: String,
    pictures: usize,
    top1: usize,
    top5: usize,
}

/// A picture's best classes.
struct Prediction {
    path: String,
    class: usize,
    best: Vec<Class>,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Usage`] when a folder is not named by a label or the model classifies no pictures; those of loading,
/// reading and running.
pub fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let model = model::load(&args.model, &args.machine)?;
    let side = SideFile::find(&args.model, args.image.side_file.as_deref())?;
    let labels = Labels::find(args.labels.labels.as_deref(), side.as_ref(), model.metadata())?
        .ok_or_else(|| Failure::Usage("the model has no labels: give them as --labels".to_string()))?;
    let mut preprocessing = preprocessing::resolve(&args.image, side.as_ref(), model.metadata())?;
    let dims = Dims::new(&model, &args.dims)?;
    let [input] = model.inputs() else {
        let message = format!("expected a model with one input, found {}", model.inputs().len());
        return Err(Failure::Usage(message).into());
    };
    preprocessing::fit(&mut preprocessing, input, &dims)?;
    preprocessing::announce(&preprocessing);
    let mut set = Dataset::open(&args.pictures)?;
    let classes = classes_of(&set, &labels)?;
    if let Some(limit) = args.limit {
        set.limit(limit);
    }
    if set.ignored > 0 {
        output::note(&format!("{} files lie in no folder of a class and are ignored", set.ignored));
    }
    let start = Instant::now();
    let batch = batch(&model, args.batch);
    let (session, scores) = (model.session()?, Scores::of(&model, 0));
    let mut runner = Runner {
        set: &set,
        classes,
        labels: &labels,
        preprocessing: &preprocessing,
        session,
        scores,
        skipped: 0,
    };
    let predictions = runner.run(batch, args)?;
    let skipped = runner.skipped;
    if let Some(path) = &args.predictions {
        save(path, &predictions)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let report = report(args, &predictions, skipped, batch, preprocessing, seconds, &labels);
    match args.format.format {
        Format::Json => output::print_json(&report),
        Format::Text => Ok(output::print(&text(&report))?),
    }
}

/// The class of every folder.
fn classes_of(set: &Dataset, labels: &Labels) -> Result<BTreeMap<String, usize>, Failure> {
    let class = |folder: &str| labels.class(folder).map_err(|e| Failure::Usage(format!("folder {e}")));
    set.classes().into_iter().map(|c| Ok((c.to_string(), class(c)?))).collect()
}

/// Pictures per run: those asked for, or as many as the model takes when it takes no other number.
fn batch(model: &Model, asked: usize) -> usize {
    let first = model.inputs().first().and_then(|i| i.dims.as_ref()?.first());
    match first {
        Some(Dim::Fixed(n)) if *n != asked => {
            output::note(&format!("the model's batch is fixed: {n} instead of {asked} pictures per run"));
            *n
        }
        _ => asked,
    }
}

struct Runner<'a> {
    set: &'a Dataset,
    classes: BTreeMap<String, usize>,
    labels: &'a Labels,
    preprocessing: &'a Preprocessing,
    session: Session,
    scores: Scores,
    skipped: usize,
}

impl<'a> Runner<'a> {
    /// Predicts all pictures, `batch` at a time; the last run is filled up with zeros.
    fn run(&mut self, batch: usize, args: &EvalArgs) -> anyhow::Result<Vec<Prediction>> {
        let progress = output::progress(self.set.items.len());
        let mut predictions = Vec::with_capacity(self.set.items.len());
        let mut waiting: Vec<(&'a Item, Vec<f32>)> = Vec::new();
        let set = self.set;
        for item in &set.items {
            match self.read(item) {
                Ok(data) => waiting.push((item, data)),
                Err(e) if args.skip_unreadable && is_unreadable(&e) => {
                    self.skipped += 1;
                    progress.suspend(|| output::note(&format!("skipped: {}", failure::message(&e))));
                }
                Err(e) => return Err(e),
            }
            if waiting.len() == batch {
                predictions.extend(self.predict(&waiting, batch)?);
                waiting.clear();
            }
            progress.inc(1);
        }
        if !waiting.is_empty() {
            predictions.extend(self.predict(&waiting, batch)?);
        }
        progress.finish_and_clear();
        Ok(predictions)
    }

    fn read(&self, item: &Item) -> anyhow::Result<Vec<f32>> {
        let bytes = self.set.read(item, self.preprocessing.max_file_bytes())?;
        Ok(self.preprocessing.bytes(&self.set.full_name(item), &bytes)?.data)
    }

    fn predict(&mut self, pictures: &[(&Item, Vec<f32>)], batch: usize) -> anyhow::Result<Vec<Prediction>> {
        let input = self.session.model().inputs()[0].clone();
        let [height, width] = self.preprocessing.size().unwrap_or_default();
        let shape = [batch, 3, height, width];
        let mut data = pictures.iter().flat_map(|(_, d)| d).copied().collect::<Vec<f32>>();
        data.resize(shape.iter().product(), 0.0);
        let bytes = from_f32s(input.dtype, &data).unwrap_or_default();
        let tensor = TensorRef::from_bytes(input.dtype, &shape, &bytes)?;
        let outputs = self.session.run(&[(input.name.as_str(), tensor)])?;
        let ranked = outputs
            .first()
            .and_then(|(_, t)| classify::probabilities(t.view(), batch, self.scores).ok_or(t).ok());
        let Some(ranked) = ranked else {
            let message = format!("the first output has no scores of classes: expected floats [{batch},C]");
            return Err(Failure::Usage(message).into());
        };
        ranked
            .iter()
            .zip(pictures)
            .map(|(probabilities, (item, _))| {
                self.labels.check(probabilities.len())?;
                let best = classify::top(probabilities, BEST, Some(self.labels));
                let class = self.classes.get(&item.class).copied().unwrap_or(usize::MAX);
                Ok(Prediction { path: item.path.clone(), class, best })
            })
            .collect()
    }
}

/// Whether the picture itself is at fault: it cannot be read, is corrupt or too large.
fn is_unreadable(error: &anyhow::Error) -> bool {
    matches!(failure::exit_code(error), 1 | 5 | 6)
}

fn save(path: &Path, predictions: &[Prediction]) -> anyhow::Result<()> {
    output::write_file(path, |w| {
        let mut csv = csv::Writer::from_writer(w);
        csv.write_record(["path", "index", "label", "probability"])?;
        for p in predictions {
            let Some(best) = p.best.first() else { continue };
            let (index, probability) = (best.index.to_string(), format!("{:.6}", best.probability));
            let label = best.label.as_deref().unwrap_or_default();
            csv.write_record([p.path.as_str(), &index, label, &probability])?;
        }
        Ok(csv.flush()?)
    })
}

fn report(
    args: &EvalArgs,
    predictions: &[Prediction],
    skipped: usize,
    batch: usize,
    preprocessing: Preprocessing,
    seconds: f64,
    labels: &Labels,
) -> Report {
    let mut classes: BTreeMap<usize, ClassReport> = BTreeMap::new();
    for p in predictions {
        let rank = p.best.iter().position(|b| b.index == p.class);
        let class = classes.entry(p.class).or_default();
        class.pictures += 1;
        class.top1 += usize::from(rank == Some(0));
        class.top5 += usize::from(rank.is_some());
        class.label = labels.name(p.class).unwrap_or_default().to_string();
    }
    let share = |count: fn(&ClassReport) -> usize| {
        classes.values().map(count).sum::<usize>() as f64 / predictions.len().max(1) as f64
    };
    Report {
        schema: output::schema("eval"),
        model: args.model.display().to_string(),
        pictures: predictions.len(),
        skipped,
        top1: share(|c| c.top1),
        top5: share(|c| c.top5),
        classes: classes.into_values().collect(),
        batch,
        preprocessing,
        seconds,
    }
}

fn text(report: &Report) -> String {
    let Report { pictures, skipped, seconds, .. } = report;
    let mut out = String::new();
    for c in &report.classes {
        let share = 100.0 * c.top1 as f64 / c.pictures as f64;
        let _ = writeln!(out, "{share:8.2} %  {:6} of {:6}  {}", c.top1, c.pictures, c.label);
    }
    let _ = writeln!(
        out,
        "top-1 {:.2} %, top-5 {:.2} % of {pictures} pictures",
        100.0 * report.top1,
        100.0 * report.top5
    );
    if *skipped > 0 {
        let _ = writeln!(out, "{skipped} pictures could not be read");
    }
    output::note(&format!("{seconds:.1} s, {:.1} pictures per second", *pictures as f64 / seconds.max(1e-9)));
    out
}
