//! Plans that were kept: the one of `--plan FILE`, which must still hold, and that of the last run, whose number
//! of hosts is compared.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model::Diagnostic;
use crate::plan::{self, Plan};
use crate::report::RunStore;

use super::failure::Failure;

/// How many runs are looked through for one of the same task on the same hosts.
const RUNS_SEARCHED: usize = 50;

/// How many differences are shown.
const DIFFERENCES_SHOWN: usize = 20;

/// What a plan was made for.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    /// The selectors that were typed.
    pub(super) terms: Vec<String>,
    /// The inventory that was named.
    pub(super) inventory: Option<String>,
}

impl Selection {
    /// Both in one list, which is how plans have been kept from the start.
    pub(super) fn list(&self) -> Vec<String> {
        let terms = self.terms.iter();
        terms.chain(&self.inventory).cloned().collect()
    }
}

/// A plan as it is kept: with the selection that it was made for.
pub(super) fn json(plan: &Plan, selection: &Selection) -> Value {
    let mut json = plan::json(plan);
    json["selection"] = selection.list().into();
    json["inventory"] = selection.inventory.clone().into();
    json
}

/// The selectors of the plan in a run's folder; none where it is not there, or says none.
pub(super) fn terms(run: &Path) -> Vec<String> {
    let plan = std::fs::read(run.join("plan.json")).ok();
    let plan = plan.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let Some(plan) = plan else {
        return Vec::new();
    };
    let list = plan["selection"].as_array().into_iter().flatten();
    let mut terms: Vec<String> = list
        .filter_map(|term| Some(term.as_str()?.to_owned()))
        .collect();
    if plan["inventory"].is_string() {
        // It is the last of the list.
        terms.pop();
    }
    terms
}

/// How many hosts the last run of this task with this selection counted. Records that cannot be read count as
/// none: a warning hangs on this, nothing else.
pub(super) fn last_population(state: &Path, task: &str, selection: &[String]) -> Option<usize> {
    let runs = RunStore::new(state).newest(RUNS_SEARCHED).ok()?;
    let wanted = Value::from(selection);
    runs.iter().filter(|run| run.task == task).find_map(|run| {
        let text = std::fs::read(run.path.join("plan.json")).ok()?;
        let plan: Value = serde_json::from_slice(&text).ok()?;
        let population = plan["population"].as_u64()?;
        (plan["selection"] == wanted).then(|| usize::try_from(population).ok())?
    })
}

/// The plan of `--plan FILE`.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    json: Value,
}

impl Kept {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or is no plan.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let place = path.display();
        let cannot = |cause: String| {
            let error = Diagnostic::new(format!("cannot read the plan `{place}`")).cause(cause);
            error.hint("`fab-rs plan TASK … --out FILE` writes one")
        };
        let text = std::fs::read(path).map_err(|error| cannot(error.to_string()))?;
        let json: Value =
            serde_json::from_slice(&text).map_err(|error| cannot(error.to_string()))?;
        if json["task"].is_string() && json["hosts"].is_array() && json["phases"].is_array() {
            let path = path.to_owned();
            return Ok(Self { path, json });
        }
        Err(cannot("it lacks `task`, `hosts` or `phases`".to_owned()).into())
    }

    /// The selectors that it was made for.
    pub(super) fn selectors(&self) -> Vec<String> {
        let words = self.json["selection"].as_array();
        let words = words.map_or(&[][..], Vec::as_slice);
        // The inventory, where one was named, is the last of them.
        let named = usize::from(self.json["inventory"].is_string());
        let words = words[..words.len().saturating_sub(named)].iter();
        words.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// What its order of hosts was drawn from.
    pub(super) fn seed(&self) -> Option<u64> {
        let mut phases = self.json["phases"].as_array()?.iter();
        phases.find_map(|phase| phase["seed"].as_u64())
    }

    /// Refuses where the plan of now is not this one.
    ///
    /// # Errors
    /// The differences, with status 7.
    pub(super) fn check(&self, now: &Plan) -> Result<(), Failure> {
        let differences = plan::drift(&self.json, &plan::json(now));
        if differences.is_empty() {
            return Ok(());
        }
        let more = differences.len().saturating_sub(DIFFERENCES_SHOWN);
        let place = self.path.display();
        let message = format!("the plan `{place}` does not hold any more");
        let shown = differences.into_iter().take(DIFFERENCES_SHOWN);
        let mut error = shown.fold(Diagnostic::new(message), Diagnostic::cause);
        if more > 0 {
            error = error.cause(format!("and {more} more"));
        }
        let error = error
            .hint("look at the new one with `fab-rs plan`, and keep it with `--out FILE`")
            .hint("nothing was run");
        Err(Failure::drifted(error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(state: &Path, id: &str, plan: &Value) {
        let folder = state.join("runs").join(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("plan.json"), plan.to_string()).unwrap();
    }

    #[test]
    fn the_last_run_of_the_same_selection_is_found() {
        let state = tempfile::tempdir().unwrap();
        let app = json!({"population": 12, "selection": ["role=app"]});
        record(state.path(), "20260101T000000Z-restart-0001", &app);
        let web = json!({"population": 5, "selection": ["role=web"]});
        record(state.path(), "20260102T000000Z-restart-0002", &web);
        let other = json!({"population": 3, "selection": ["role=app"]});
        record(state.path(), "20260103T000000Z-heapdump-0003", &other);
        let found =
            |task, selector: &str| last_population(state.path(), task, &[selector.to_owned()]);
        assert_eq!(found("restart", "role=app"), Some(12));
        assert_eq!(found("restart", "role=web"), Some(5));
        assert_eq!(found("restart", "role=db"), None);
    }

    #[test]
    fn a_file_that_is_no_plan_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.json");
        std::fs::write(&path, "{}").unwrap();
        let failure = Kept::read(&path).unwrap_err();
        assert!(failure.diagnostics[0].message.contains("p.json"));
        std::fs::write(
            &path,
            json!({"task": "t", "hosts": [], "phases": [{"seed": null}, {"seed": 5}]}).to_string(),
        )
        .unwrap();
        assert_eq!(Kept::read(&path).unwrap().seed(), Some(5));
    }

    #[test]
    fn the_selectors_of_a_kept_plan_are_without_its_inventory() {
        for (inventory, words) in [(None, &["env=prod", "role=app"][..]), (Some("h.yml"), &[])] {
            let selection = Selection {
                terms: words.iter().map(|&word| word.to_owned()).collect(),
                inventory: inventory.map(str::to_owned),
            };
            let json = json!({"selection": selection.list(), "inventory": inventory});
            let path = PathBuf::from("p.json");
            assert_eq!(Kept { path, json }.selectors(), words);
        }
    }
}
