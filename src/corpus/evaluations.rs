//! Reports of evaluations, and evaluations that run.
//!
//! A report is a derived value with the held-out reviews as sources, so that it is deleted with them;
//! every [`Store::forget`] deletes all reports, since their figures were made from everybody's texts.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Key, Result, ReviewId, Store};

/// Kind of the summaries of reports.
pub(super) const SUMMARY: &str = "evaluation";
/// Kind of the reports' HTML, under the keys of their summaries.
pub(super) const REPORT: &str = "evaluation-report";
/// Kind of the evaluations that run.
const RUNNING: &str = "evaluation-running";

/// Maximum number of reports that are kept, the newest.
const MAX_REPORTS: usize = 50;

/// Time after which an evaluation that told nothing no longer counts as running, seconds.
const SILENCE: i64 = 30;

/// Summary of a stored report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationSummary {
    /// Identifier: letters, digits and hyphens.
    pub id: String,
    /// Name in one line.
    pub name: String,
    /// Time of the report, seconds since the epoch.
    pub time: i64,
    /// Names of the methods, in the report's order.
    pub methods: Vec<String>,
    /// Number of users with a held-out text.
    pub users: usize,
    /// Number of held-out texts.
    pub texts: usize,
}

/// An evaluation that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningEvaluation {
    /// Identifier of the run.
    pub id: String,
    /// Number of cases that are done.
    pub done: u64,
    /// Number of all cases.
    pub of: u64,
    /// Names of the methods.
    pub methods: Vec<String>,
    /// Time at which it began, seconds since the epoch.
    pub started: i64,
}

/// Stored form of an evaluation that runs.
#[derive(Serialize, Deserialize)]
struct SeenRunning {
    #[serde(flatten)]
    run: RunningEvaluation,
    /// Time at which it was last told, seconds since the epoch.
    seen: i64,
}

impl Store {
    /// Stores a report: its summary and its HTML. `sources` are the held-out reviews. Of more than
    /// fifty reports the oldest are deleted.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_evaluation(
        &self,
        summary: &EvaluationSummary,
        html: &str,
        sources: &[ReviewId],
    ) -> Result<()> {
        let key = key(SUMMARY, &summary.id);
        let told = serde_json::to_string(summary).unwrap_or_default();
        self.put_derived(REPORT, &key, &serde_json::json!(html).to_string(), sources)?;
        self.put_derived(SUMMARY, &key, &told, sources)?;
        if self.is_read_only() {
            return Ok(());
        }
        self.write(|transaction| {
            let newest = "SELECT key FROM derived WHERE kind = ?1 ORDER BY id DESC LIMIT ?2";
            let sql =
                format!("DELETE FROM derived WHERE kind IN (?1, ?3) AND key NOT IN ({newest})");
            transaction.execute(&sql, params![SUMMARY, MAX_REPORTS as i64, REPORT]).map(drop)
        })
    }

    /// Summaries of all stored reports, the newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn evaluations(&self) -> Result<Vec<EvaluationSummary>> {
        let values = self.derived_values(SUMMARY)?;
        Ok(values.iter().rev().filter_map(|value| serde_json::from_str(value).ok()).collect())
    }

    /// HTML of a stored report; `None` if there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn evaluation_report(&self, id: &str) -> Result<Option<String>> {
        let value = self.derived(REPORT, &key(SUMMARY, id))?;
        Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
    }

    /// Tells how far an evaluation is. It counts as running until [`Store::end_evaluation`], or until
    /// it has told nothing for half a minute.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_running_evaluation(&self, run: &RunningEvaluation) -> Result<()> {
        let seen = SeenRunning { run: run.clone(), seen: now() };
        let value = serde_json::to_string(&seen).unwrap_or_default();
        self.put_derived(RUNNING, &key(RUNNING, &run.id), &value, &[])
    }

    /// Tells that an evaluation no longer runs, and deletes what killed ones left, also under a clock
    /// that was ahead.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn end_evaluation(&self, id: &str) -> Result<()> {
        if self.is_read_only() {
            return Ok(());
        }
        let own = key(RUNNING, id);
        self.write(|transaction| {
            let sql = "DELETE FROM derived WHERE kind = ?1 AND (key = ?2 OR abs(made - ?3) > ?4)";
            transaction.execute(sql, params![RUNNING, own.as_str(), now(), SILENCE]).map(drop)
        })
    }

    /// The evaluations that run, the one that began first first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn running_evaluations(&self) -> Result<Vec<RunningEvaluation>> {
        let values = self.derived_values(RUNNING)?;
        let seen = values.iter().filter_map(|value| serde_json::from_str(value).ok());
        let fresh = seen.filter(|run: &SeenRunning| (run.seen - now()).abs() <= SILENCE);
        let mut runs: Vec<RunningEvaluation> = fresh.map(|seen| seen.run).collect();
        runs.sort_by(|a, b| a.started.cmp(&b.started).then_with(|| a.id.cmp(&b.id)));
        Ok(runs)
    }
}

fn key(kind: &str, id: &str) -> Key {
    Key::of(kind).with("id", id).finish()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Review;

    fn summary(id: &str) -> EvaluationSummary {
        EvaluationSummary {
            id: id.to_owned(),
            name: "Evaluation of rag".to_owned(),
            time: 7,
            methods: vec!["rag".to_owned()],
            users: 3,
            texts: 4,
        }
    }

    #[test]
    fn reports_are_kept_until_a_source_goes_and_the_oldest_go_first() {
        let store = Store::in_memory().unwrap();
        let review = |item: &str| Review {
            user: "ann".to_owned(),
            item: item.to_owned(),
            rating: None,
            title: String::new(),
            text: format!("of {item}"),
            time: 1,
        };
        store.put_reviews(&[review("a"), review("b")]).unwrap();
        let ids = store.review_ids().unwrap();
        store.put_evaluation(&summary("one"), "<p>\"1\"", &ids[..1]).unwrap();
        store.put_evaluation(&summary("two"), "<p>2", &ids[1..]).unwrap();
        let told: Vec<String> = store.evaluations().unwrap().into_iter().map(|e| e.id).collect();
        assert_eq!(told, ["two", "one"]);
        assert_eq!(store.evaluation_report("one").unwrap().unwrap(), "<p>\"1\"");
        assert_eq!(store.evaluation_report("three").unwrap(), None);
        for n in 0..MAX_REPORTS {
            store.put_evaluation(&summary(&format!("n{n}")), "<p>", &ids[1..]).unwrap();
        }
        assert_eq!(store.evaluations().unwrap().len(), MAX_REPORTS);
        assert_eq!(store.evaluation_report("one").unwrap(), None);
        assert!(store.evaluation_report("n0").unwrap().is_some());
        // A report that is made again is the newest, and so is one of a clock that was set back.
        store.put_evaluation(&summary("n0"), "<p>", &ids[1..]).unwrap();
        store.write(|t| t.execute_batch("UPDATE derived SET made = made + 9999")).unwrap();
        store.put_evaluation(&summary("back"), "<p>", &ids[1..]).unwrap();
        let told: Vec<String> = store.evaluations().unwrap().into_iter().map(|e| e.id).collect();
        assert_eq!((told.len(), &told[0][..], &told[1][..]), (MAX_REPORTS, "back", "n0"));
    }

    #[test]
    fn a_run_is_told_until_it_ends_or_is_silent() {
        let store = Store::in_memory().unwrap();
        let run = |id: &str, done| RunningEvaluation {
            id: id.to_owned(),
            done,
            of: 9,
            methods: vec!["rag".to_owned()],
            started: 5,
        };
        store.put_running_evaluation(&run("a", 1)).unwrap();
        store.put_running_evaluation(&run("a", 2)).unwrap();
        assert_eq!(store.running_evaluations().unwrap(), [run("a", 2)]);
        // Of a killed run, and of one under a clock that was ahead.
        for (id, seen) in [("killed", now() - SILENCE - 1), ("ahead", now() + SILENCE + 9)] {
            let old = SeenRunning { run: run(id, 1), seen };
            let value = serde_json::to_string(&old).unwrap();
            store.put_derived(RUNNING, &key(RUNNING, id), &value, &[]).unwrap();
        }
        assert_eq!(store.running_evaluations().unwrap(), [run("a", 2)]);
        store.end_evaluation("a").unwrap();
        assert!(store.running_evaluations().unwrap().is_empty());
    }
}
