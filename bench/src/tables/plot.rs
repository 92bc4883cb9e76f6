//! Points in a coordinate system, laid out for SVG.

/// Extents of a plot in user units, and the margins of the system in it.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 48.0;
/// Height of a line of the legend.
const LINE: f64 = 20.0;
/// About as many ticks an axis has.
const TICKS: f64 = 6.0;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Dots for points that do not belong together.
    Dots,
    /// Dots and a line through them.
    Curve,
    /// A dashed line, for what is not measured.
    Ideal,
}

impl Mark {
    /// Whether points have dots.
    pub fn has_dots(self) -> bool {
        self != Mark::Ideal
    }

    /// The line's class in the page; none without line.
    pub fn line(self) -> Option<&'static str> {
        match self {
            Mark::Dots => None,
            Mark::Curve => Some("curve"),
            Mark::Ideal => Some("curve ideal"),
        }
    }
}

/// Points of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points (x, y), none of them negative.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub mark: Mark,
}

/// Series over the same axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What it shows.
    pub title: &'static str,
    /// Name of the horizontal axis.
    pub x: &'static str,
    /// Name of the vertical axis.
    pub y: &'static str,
    /// What it shows.
    pub series: Vec<Series>,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where, in user units.
    pub at: String,
    /// The number.
    pub label: String,
}

/// A series in user units.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Name in the legend.
    pub name: String,
    /// Number of its colour.
    pub colour: usize,
    /// How it is drawn.
    pub mark: Mark,
    /// Corners of the line through the points, as in the attribute `points`.
    pub path: String,
    /// The points, (x, y).
    pub dots: Vec<(String, String)>,
    /// Where its line of the legend stands.
    pub legend: String,
}

/// A plot in user units.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Marks of the horizontal axis.
    pub x_ticks: Vec<Tick>,
    /// Marks of the vertical axis.
    pub y_ticks: Vec<Tick>,
    /// The series.
    pub series: Vec<Drawn>,
    /// Left, right, top and bottom end of the coordinate system.
    pub ends: [f64; 4],
    /// Width and height of the whole.
    pub extents: [f64; 2],
}

/// An axis from a round number to a round number.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// For numbers, between two ends in user units. It starts at 0 unless the numbers lie close together.
    fn new(numbers: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let most = numbers.clone().fold(0.0, f64::max);
        let least = numbers.fold(f64::INFINITY, f64::min);
        let least = if least.is_finite() && least > 0.4 * most { least } else { 0.0 };
        let span = if most > least { most - least } else { 1.0 };
        let step = round_step(span / TICKS);
        let (low, high) = ((least / step).floor() * step, (most / step).ceil() * step);
        Axis { low, high: if high > low { high } else { low + step }, step, from, to }
    }

    fn at(&self, number: f64) -> String {
        let share = (number - self.low) / (self.high - self.low);
        format!("{:.1}", self.from + share * (self.to - self.from))
    }

    fn ticks(&self) -> Vec<Tick> {
        let digits = (-self.step.log10().floor()).max(0.0) as usize;
        let count = ((self.high - self.low) / self.step).round() as usize;
        let number = |i: usize| self.low + i as f64 * self.step;
        (0..=count)
            .map(|i| Tick { at: self.at(number(i)), label: format!("{:.digits$}", number(i)) })
            .collect()
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|t| t * power >= step * (1.0 - 1e-9));
    times.unwrap_or(10.0) * power
}

impl Plot {
    /// Places everything.
    pub fn layout(&self) -> Layout {
        let ends = [LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM];
        let points = self.series.iter().flat_map(|s| s.points.iter());
        let x = Axis::new(points.clone().map(|p| p.0), ends[0], ends[1]);
        let y = Axis::new(points.map(|p| p.1), ends[3], ends[2]);
        let draw = |(i, s): (usize, &Series)| {
            let dots: Vec<_> = s.points.iter().map(|p| (x.at(p.0), y.at(p.1))).collect();
            let corners: Vec<String> = dots.iter().map(|(x, y)| format!("{x},{y}")).collect();
            Drawn {
                name: s.name.clone(),
                colour: i % 6,
                mark: s.mark,
                path: corners.join(" "),
                dots,
                legend: format!("{:.1}", TOP + LINE * (i as f64 + 0.5)),
            }
        };
        let series = self.series.iter().enumerate().map(draw).collect();
        Layout { x_ticks: x.ticks(), y_ticks: y.ticks(), series, ends, extents: [WIDTH, HEIGHT] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!([0.7, 1.0, 1.1, 2.5, 7.0, 30.0].map(round_step), [1.0, 1.0, 2.0, 5.0, 10.0, 50.0]);
    }

    #[test]
    fn axes_hold_their_numbers() {
        let labels = |numbers: &[f64]| {
            let axis = Axis::new(numbers.iter().copied(), 0.0, 100.0);
            axis.ticks().into_iter().map(|t| t.label).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(&[36.0, 95.0]), "0 20 40 60 80 100");
        assert_eq!(labels(&[1.15, 2.19]), "1.0 1.2 1.4 1.6 1.8 2.0 2.2");
        assert_eq!(labels(&[0.21, 0.57]), "0.0 0.1 0.2 0.3 0.4 0.5 0.6");
        assert_eq!(labels(&[3.0]), "3.0 3.2");
        assert_eq!(labels(&[]), "0.0 0.2");
    }

    #[test]
    fn points_lie_between_the_ends() {
        let series = |points: Vec<(f64, f64)>| Series { name: "s".into(), points, mark: Mark::Curve };
        let plot = Plot { title: "t", x: "x", y: "y", series: vec![series(vec![(0.0, 0.0), (6.0, 60.0)])] };
        let layout = plot.layout();
        assert_eq!(layout.series[0].path, "60.0,352.0 450.0,16.0");
        assert_eq!((layout.x_ticks.len(), layout.y_ticks.len()), (7, 7));
    }
}
