//! The figures of an evaluation as a Parquet file.

use idiolect::evaluate::report::{EvalReport, to_csv};
use idiolect::tables::{ParquetTable, TableColumn};

/// The table of [`to_csv`]: names and numbers, so that no cell holds a comma.
pub(super) fn figures_table(report: &EvalReport) -> ParquetTable {
    let csv = to_csv(report);
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let rows: Vec<Vec<&str>> = lines.collect();
    let cell = |row: &Vec<&str>, i: usize| {
        row.get(i).copied().filter(|cell| !cell.is_empty()).map(str::to_owned)
    };
    let column = |(i, name): (usize, &&str)| {
        let cells = || rows.iter().map(|row| cell(row, i));
        match *name {
            "method" | "measure" => TableColumn::texts(name, cells().collect()),
            "n" => TableColumn::integers(name, cells().map(|n| n?.parse().ok()).collect()),
            _ => TableColumn::numbers(name, cells().map(|x| x?.parse().ok()).collect()),
        }
    };
    ParquetTable::new(header.iter().enumerate().map(column).collect())
}
