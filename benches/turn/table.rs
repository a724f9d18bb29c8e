//! Samples of one measure, and the table of all of them. It knows nothing of what was measured.

use std::fmt;
use std::time::Duration;

/// What a sample counts.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Nanoseconds.
    Time,
    /// Bytes.
    Bytes,
    /// Nothing in particular.
    Count,
}

impl Unit {
    fn show(self, sample: u64) -> String {
        let value = sample as f64;
        match self {
            Self::Time if sample < 1_000 => format!("{sample} ns"),
            Self::Time if sample < 1_000_000 => format!("{:.2} µs", value / 1e3),
            Self::Time => format!("{:.2} ms", value / 1e6),
            Self::Bytes => format!("{:.1} MB", value / 1e6),
            Self::Count => sample.to_string(),
        }
    }
}

/// Samples in their unit.
#[derive(Default)]
pub struct Samples(Vec<u64>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, sample: u64) {
        let at = self.0.partition_point(|other| *other <= sample);
        self.0.insert(at, sample);
    }

    /// Adds a time.
    pub fn time(&mut self, time: Duration) {
        self.push(u64::try_from(time.as_nanos()).unwrap());
    }

    /// The least sample that at least `percent` of all do not exceed.
    fn percentile(&self, percent: usize) -> u64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }
}

/// One line of the table.
pub struct Row {
    name: String,
    runs: usize,
    shown: [String; 3],
    median: u64,
    target: &'static str,
    ratio: String,
    peers: &'static str,
}

impl Row {
    /// What it should be.
    pub fn target(&mut self, target: &'static str) -> &mut Self {
        self.target = target;
        self
    }

    /// What others were measured at.
    pub fn peers(&mut self, peers: &'static str) -> &mut Self {
        self.peers = peers;
        self
    }

    /// How many times the median of `bare`, which was measured in the same run.
    pub fn against(&mut self, name: &str, bare: &Samples) -> &mut Self {
        let bare = bare.percentile(50).max(1);
        self.ratio = format!("{:.1} × {name}", self.median as f64 / bare as f64);
        self
    }
}

/// All measures.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a line.
    pub fn row(&mut self, name: &str, unit: Unit, samples: &Samples) -> &mut Row {
        self.0.push(Row {
            name: name.to_owned(),
            runs: samples.0.len(),
            shown: [0, 50, 95].map(|percent| unit.show(samples.percentile(percent))),
            median: samples.percentile(50),
            target: "",
            ratio: String::new(),
            peers: "",
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: [&str; 8] = [
            "measure",
            "runs",
            "min",
            "median",
            "p95",
            "target",
            "ratio of medians in this run",
            "peers, as measured on comparable machines",
        ];
        let head = HEAD.map(str::to_owned);
        let lines: Vec<[String; 8]> = std::iter::once(head)
            .chain(self.0.iter().map(|row| {
                let [min, median, p95] = row.shown.clone();
                let (target, peers) = (row.target.to_owned(), row.peers.to_owned());
                [row.name.clone(), row.runs.to_string(), min, median, p95, target, row.ratio.clone(), peers]
            }))
            .collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
        let widths: Vec<usize> = (0..HEAD.len()).filter_map(width).collect();
        for (number, line) in lines.iter().enumerate() {
            for (column, cell) in line.iter().enumerate() {
                let width = widths[column];
                // Numbers to the right.
                if (1..5).contains(&column) {
                    write!(f, "| {cell:>width$} ")?;
                } else {
                    write!(f, "| {cell:<width$} ")?;
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let end = if (1..5).contains(&column) { ':' } else { '-' };
                    write!(f, "|-{}{end}", "-".repeat(*width))?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}
