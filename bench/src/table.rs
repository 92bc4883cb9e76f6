//! Tables of results: for people, and in Markdown.

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells under titles.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing are empty, those too many are left out.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Titles of the columns, and where their cells stand.
    pub fn columns(&self) -> &[(&'static str, Align)] {
        &self.columns
    }

    /// The rows, each with a cell for every column.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Columns side by side, two spaces between them.
    pub fn text(&self) -> String {
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| (*title).to_string()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&titles).chain(&self.rows).collect();
        let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut out = String::new();
        for cells in lines {
            let padded: Vec<String> = cells
                .iter()
                .zip(&self.columns)
                .zip(&widths)
                .map(|((cell, (_, align)), &width)| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                })
                .collect();
            out.push_str(padded.join("  ").trim_end());
            out.push('\n');
        }
        out
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = |(_, align): &(&str, Align)| match align {
            Align::Left => "---".to_string(),
            Align::Right => "---:".to_string(),
        };
        let mut out = line(self.columns.iter().map(|(title, _)| (*title).to_string()).collect());
        out.push_str(&line(self.columns.iter().map(rule).collect()));
        for row in &self.rows {
            out.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|")).collect()));
        }
        out
    }
}

/// A share in per cent, one digit after the point; `-` for none.
pub fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_string(), |s| format!("{:.1} %", 100.0 * s))
}

/// A time in milliseconds, with as many digits as are worth reading.
pub fn milliseconds(ms: f64) -> String {
    let digits = match ms {
        ms if ms >= 100.0 => 1,
        ms if ms >= 10.0 => 2,
        ms if ms >= 1.0 => 3,
        _ => 4,
    };
    format!("{ms:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("ms", Align::Right), ("name", Align::Left), ("x", Align::Right)]);
        table.row(vec!["1.5".into(), "a|b".into(), "2".into()]);
        table.row(vec!["10.25".into(), "längst".into()]);
        table
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(table().text(), "   ms  name    x\n  1.5  a|b     2\n10.25  längst\n");
    }

    #[test]
    fn markdown_keeps_bars_in_cells() {
        let expected =
            "| ms | name | x |\n| ---: | --- | ---: |\n| 1.5 | a\\|b | 2 |\n| 10.25 | längst |  |\n";
        assert_eq!(table().markdown(), expected);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!((percent(Some(0.8125)), percent(None)), ("81.2 %".into(), "-".into()));
        assert_eq!(milliseconds(123.456), "123.5");
        assert_eq!(milliseconds(12.3456), "12.35");
        assert_eq!(milliseconds(0.012_345), "0.0123");
    }
}
