//! How good a detector was, against labels. Never point-adjusted: there, random scores win (Kim et al., arXiv 2109.05257).

/// Counts and shares over rows, and delays over labelled events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Rows with a label and an alarm, a label alone, an alarm alone, neither.
    pub hits: u64,
    /// … a label alone.
    pub missed: u64,
    /// … an alarm alone.
    pub false_alarms: u64,
    /// … neither.
    pub calm: u64,
    /// Rows from the beginning of each labelled event to the first row with an alarm in it.
    pub delays_rows: Vec<usize>,
    /// Labelled events without an alarm.
    pub events_missed: usize,
    /// Onsets outside labelled events.
    pub false_onsets: usize,
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Counts {
    /// Of rows in order.
    pub fn of(labels: &[bool], alarms: &[bool], onsets: &[bool]) -> Self {
        let mut all = Self::default();
        for ((label, alarm), onset) in labels.iter().zip(alarms).zip(onsets) {
            match (label, alarm) {
                (true, true) => all.hits += 1,
                (true, false) => all.missed += 1,
                (false, true) => all.false_alarms += 1,
                (false, false) => all.calm += 1,
            }
            all.false_onsets += usize::from(*onset && !*label);
        }
        for (from, to) in events(labels) {
            match alarms[from..to].iter().position(|a| *a) {
                Some(delay) => all.delays_rows.push(delay),
                None => all.events_missed += 1,
            }
        }
        all
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.missed += other.missed;
        self.false_alarms += other.false_alarms;
        self.calm += other.calm;
        self.delays_rows.extend(&other.delays_rows);
        self.events_missed += other.events_missed;
        self.false_onsets += other.false_onsets;
    }

    /// 2·hits / (2·hits + missed + false alarms), over rows; None without a label and an alarm.
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.hits, 2 * self.hits + self.missed + self.false_alarms)
    }

    /// Share of the rows without a label that had an alarm.
    pub fn false_alarm_rate(&self) -> Option<f64> {
        share(self.false_alarms, self.false_alarms + self.calm)
    }

    /// Share of the labelled rows that had none.
    pub fn missed_alarm_rate(&self) -> Option<f64> {
        share(self.missed, self.missed + self.hits)
    }

    /// Median of the delays.
    pub fn median_delay_rows(&self) -> Option<f64> {
        let mut d = self.delays_rows.clone();
        d.sort_unstable();
        let n = d.len();
        (n > 0).then(|| (d[(n - 1) / 2] + d[n / 2]) as f64 / 2.0)
    }
}

/// Labelled events as ranges of rows.
pub fn events(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut from = None;
    for (i, label) in labels.iter().chain(&[false]).enumerate() {
        match (label, from) {
            (true, None) => from = Some(i),
            (false, Some(f)) => {
                all.push((f, i));
                from = None;
            }
            _ => {}
        }
    }
    all
}

/// Thresholds at which precision and recall are taken.
const LEVELS: usize = 200;
/// Widths of the border around each event, besides none.
const WIDTHS: usize = 10;

/// Volume under the surface of precision and recall over thresholds and over how wide a border around each event counts
/// in part (Paparrizos et al., VLDB 2022). The widest border is half of the median event. None without labels.
pub fn vus_pr(labels: &[bool], scores: &[f64]) -> Option<f64> {
    let events = events(labels);
    if events.is_empty() || labels.len() != scores.len() {
        return None;
    }
    let mut lengths: Vec<usize> = events.iter().map(|(a, b)| b - a).collect();
    lengths.sort_unstable();
    let widest = lengths[lengths.len() / 2].clamp(1, 1000);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut widths: Vec<usize> = (0..=WIDTHS).map(|k| widest * k / WIDTHS).collect();
    widths.dedup();
    let sum: f64 = widths.iter().map(|w| average_precision(labels, &events, &order, scores, *w)).sum();
    Some(sum / widths.len() as f64)
}

/// With a border of this width around each event, on either side half of it.
fn average_precision(
    labels: &[bool],
    events: &[(usize, usize)],
    order: &[usize],
    scores: &[f64],
    width: usize,
) -> f64 {
    let n = labels.len();
    let mut soft: Vec<f64> = labels.iter().map(|l| f64::from(u8::from(*l))).collect();
    let mut owner = vec![usize::MAX; n];
    for (e, (from, to)) in events.iter().enumerate() {
        owner[*from..*to].fill(e);
        for k in 1..=width / 2 {
            let value = (1.0 - k as f64 / width as f64).sqrt();
            for at in [from.checked_sub(k), Some(to - 1 + k).filter(|i| *i < n)].into_iter().flatten() {
                soft[at] = f64::min(1.0, soft[at] + value);
                if owner[at] == usize::MAX {
                    owner[at] = e;
                }
            }
        }
    }
    let hard = labels.iter().filter(|l| **l).count() as f64;
    let positive = (hard + soft.iter().sum::<f64>()) / 2.0;
    let mut found = vec![false; events.len()];
    let (mut hits, mut events_found, mut last_recall, mut area) = (0.0, 0.0, 0.0, 0.0);
    let step = n.div_ceil(LEVELS).max(1);
    for (i, row) in order.iter().enumerate() {
        hits += soft[*row];
        if owner[*row] != usize::MAX && !std::mem::replace(&mut found[owner[*row]], true) {
            events_found += 1.0;
        }
        // Equal scores come together.
        let tied = order.get(i + 1).is_some_and(|next| scores[*next] == scores[*row]);
        if !tied && ((i + 1) % step == 0 || i < LEVELS) || i + 1 == n {
            let recall = f64::min(1.0, hits / positive) * events_found / events.len() as f64;
            area += (recall - last_recall) * hits / (i + 1) as f64;
            last_recall = recall;
        }
    }
    area
}
