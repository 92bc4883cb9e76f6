//! A report as one page of HTML that needs nothing else.

use askama::Template;

use super::TablesError;
use super::plot::Layout;
use super::render::{self, Section};
use super::report::Report;
use crate::table::Align;

/// What the template shows.
#[derive(Template)]
#[template(path = "tables.html")]
struct Page {
    preamble: String,
    sections: Vec<Section>,
}

/// The page.
///
/// # Errors
/// [`TablesError::Page`] when formatting fails.
pub fn page(report: &Report) -> Result<String, TablesError> {
    let (preamble, sections) = (render::preamble(report), render::sections(report));
    Ok(Page { preamble, sections }.render()? + "\n")
}

/// The class of a cell.
fn class(align: &Align) -> &'static str {
    match align {
        Align::Left => "l",
        Align::Right => "r",
    }
}

/// Halfway between two ends.
fn middle(a: &f64, b: &f64) -> f64 {
    (a + b) / 2.0
}

fn ends(layout: &Layout) -> [f64; 4] {
    layout.ends
}

#[cfg(test)]
mod tests {
    use octrt_compiler::Precision;

    use super::*;
    use crate::tables::plan::Which;
    use crate::tables::report::tests::made_up;

    #[test]
    fn the_page_needs_nothing_else() {
        let page = page(&made_up(&[Which::Alphas], &[Precision::Default])).unwrap();
        expect_test::expect_file!["../../tests/data/tables.html"].assert_eq(&page);
        assert!(page.contains("Some &#60;CPU&#62;"));
        let is_foreign = |word| page.contains(word);
        assert!(!["http", "src=", "href=", "<script", "@import", "NaN", "inf"].into_iter().any(is_foreign));
    }
}
