//! A section as a picture: a strip for each figure and contender, with a dot for each sample, on a
//! logarithmic scale.

use core::fmt::Write as _;

use crate::{
    contender::Contender,
    figure::{Figure, Section, Summary},
};

const WIDTH: f64 = 1100.0;
/// Of the names at the left.
const LEFT: f64 = 520.0;
const RIGHT: f64 = 30.0;
const ROW: f64 = 13.0;
const FIGURE_GAP: f64 = 10.0;
/// Of more samples, only every second, third and so on is shown.
const DOTS_MAX: usize = 200;
/// What is smaller is shown here: a logarithm has no place for it.
const SMALLEST: f64 = 0.01;

/// The picture as SVG; figures whose samples are all zero are left out.
pub(crate) fn svg(section: &Section) -> String {
    let shown: Vec<&Figure> =
        section.figures.iter().filter(|figure| largest(figure) > 0.0).collect();
    let decades = Decades::of(&shown);
    let mut body = String::new();
    let mut y = 30.0;
    for figure in shown {
        label(&mut body, 8.0, y + ROW - 3.0, &titled(figure));
        for contender in Contender::ALL {
            if let Some(samples) = figure.samples.get(&contender) {
                strip(&mut body, &decades, y, contender, samples);
                y += ROW;
            }
        }
        y += FIGURE_GAP;
    }
    let grid = grid(&decades, y);
    let legend = legend();
    let height = y + 20.0;
    document(WIDTH, height, 11, &format!("{grid}{legend}{body}"))
}

/// A white sheet of this size in pixels, and what is on it.
pub(crate) fn document(width: f64, height: f64, font_size: u32, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"{font_size}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// The scale: from one power of ten to another.
struct Decades {
    first: i32,
    last: i32,
}

impl Decades {
    fn of(figures: &[&Figure]) -> Self {
        let most = figures.iter().map(|figure| largest(figure)).fold(1.0, f64::max);
        let first = -2;
        let last = (first + 1..10).find(|power| 10_f64.powi(*power) >= most).unwrap_or(10);
        Self { first, last }
    }

    fn x(&self, value: f64) -> f64 {
        let place = value.max(SMALLEST).log10() - f64::from(self.first);
        LEFT + place / f64::from(self.last - self.first) * (WIDTH - LEFT - RIGHT)
    }
}

fn largest(figure: &Figure) -> f64 {
    figure.samples.values().flatten().copied().fold(0.0, f64::max)
}

fn titled(figure: &Figure) -> String {
    match figure.unit {
        "" => figure.what.clone(),
        unit => format!("{} ({unit})", figure.what),
    }
}

pub(crate) const fn colour(contender: Contender) -> &'static str {
    match contender {
        Contender::Ours | Contender::Unabsorbed => "#1b7837",
        Contender::Keepalived => "#c51b7d",
        Contender::Tuned => "#e08214",
    }
}

/// The samples as dots, from the largest on, the median as a bar.
fn strip(body: &mut String, decades: &Decades, y: f64, contender: Contender, samples: &[f64]) {
    let (colour, middle) = (colour(contender), y + ROW / 2.0);
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(|one, other| other.total_cmp(one));
    for sample in sorted.iter().step_by(samples.len().div_ceil(DOTS_MAX).max(1)) {
        let x = decades.x(*sample);
        push(
            body,
            &format!(
                "<circle cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"2.5\" fill=\"{colour}\" fill-opacity=\"0.5\"/>"
            ),
        );
    }
    if let Some(Summary { p50, .. }) = Summary::of(samples) {
        let (x, end) = (decades.x(p50), y + ROW - 2.0);
        push(
            body,
            &format!(
                "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{end:.1}\" stroke=\"{colour}\" \
             stroke-width=\"2\"/>",
                y + 2.0
            ),
        );
    }
}

fn grid(decades: &Decades, bottom: f64) -> String {
    let mut text = String::new();
    for power in decades.first..=decades.last {
        let value = 10_f64.powi(power);
        let x = decades.x(value);
        push(
            &mut text,
            &format!(
                "<line x1=\"{x:.1}\" y1=\"26\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#dddddd\"/>"
            ),
        );
        label(&mut text, x - 8.0, bottom + 12.0, &value.to_string());
    }
    text
}

fn legend() -> String {
    let mut text = String::new();
    for (contender, x) in Contender::ALL.into_iter().zip([LEFT, LEFT + 80.0, LEFT + 180.0]) {
        push(
            &mut text,
            &format!("<circle cx=\"{x}\" cy=\"12\" r=\"4\" fill=\"{}\"/>", colour(contender)),
        );
        label(&mut text, x + 8.0, 16.0, contender.name());
    }
    text
}

pub(crate) fn label(body: &mut String, x: f64, y: f64, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    push(body, &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"#222222\">{words}</text>"));
}

pub(crate) fn push(body: &mut String, line: &str) {
    writeln!(body, "{line}").expect("a String takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decade_is_as_wide_as_another() {
        let mut figure = Figure::new("f", "ms");
        figure.add(Contender::Ours, 60.0);
        let decades = Decades::of(&[&figure]);
        assert_eq!((decades.first, decades.last), (-2, 2));
        let width = (WIDTH - LEFT - RIGHT) / 4.0;
        assert!((decades.x(0.1) - (LEFT + width)).abs() < 1e-6);
        assert!((decades.x(100.0) - (WIDTH - RIGHT)).abs() < 1e-6);
        assert!((decades.x(-5.0) - LEFT).abs() < 1e-6);
    }

    #[test]
    fn every_sample_is_a_dot() {
        let mut figure = Figure::new("a < b", "");
        figure.add(Contender::Ours, 1.0);
        figure.add(Contender::Tuned, 2.0);
        figure.add(Contender::Tuned, 3.0);
        let section = Section {
            title: "T",
            method: "",
            figures: vec![figure],
            pictures: Vec::new(),
            notes: Vec::new(),
        };
        let text = svg(&section);
        assert_eq!(text.matches("r=\"2.5\"").count(), 3);
        assert!(text.contains("a &lt; b"));
    }
}
