//! Tables of text, aligned for a terminal or as Markdown.

use crate::scores::Figures;

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) header: Vec<&'static str>,
    /// The first cell names the row; cells that are not there are empty.
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) notes: Vec<String>,
}

impl Table {
    /// Adds a row of what is known without measuring.
    pub(crate) fn fixed<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(str::to_owned).to_vec());
    }

    pub(crate) fn print(&self, as_markdown: bool) {
        let heading = if as_markdown { "**" } else { "" };
        println!("\n{heading}{}{heading}\n", self.title);
        let header: Vec<String> = self.header.iter().map(|name| (*name).to_owned()).collect();
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                let rows = self.rows.iter().chain([&header]);
                rows.filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
            })
            .collect();
        let line = |row: &Vec<String>| {
            let cells = widths.iter().enumerate().map(|(column, width)| {
                let cell = row.get(column).map_or("", String::as_str);
                if column == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
            });
            let cells: Vec<String> = cells.collect();
            if as_markdown {
                println!("| {} |", cells.join(" | "));
            } else {
                println!("{}", cells.join("  ").trim_end());
            }
        };
        line(&header);
        if as_markdown {
            println!("|---|{}", "--:|".repeat(header.len() - 1));
        }
        self.rows.iter().for_each(line);
        for (number, note) in self.notes.iter().enumerate() {
            println!("{}{note}", if number == 0 { "\n" } else { "" });
        }
    }
}

/// Returns the figure of that name.
pub(crate) fn figure(figures: &Figures, name: &str) -> Option<f64> {
    figures.iter().find(|(other, _)| *other == name).and_then(|(_, value)| *value)
}

/// Writes the figure of that name, `-` where there is none.
pub(crate) fn shown(figures: &Figures, name: &str, digits: usize) -> String {
    figure(figures, name).map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}
