//! From the text of a task to its plan.

mod calls;
mod laws;
mod library;
mod params;
mod refusals;
mod rollout;
mod steps;
mod whole;
mod worked;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::json;

use super::batch_tests::fleet;
use super::{By, Overrides, Plan, PlanRequest, TaskFiles, build, json, step_texts};
use crate::model::{Diagnostic, Host, Source, Tags};
use crate::task::{
    Action, CommonParams, Condition, CopyContent, Engine, Fab, Files, GivenParams, Outside, Param,
    ParamSource, ParamValue, RegisterValue, Scope, Task, read,
};

struct World;

impl Outside for World {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn file_sha256(&self, path: &str) -> Result<String, String> {
        Ok(format!("digest-of-{path}"))
    }
}

impl ParamSource for World {
    fn read(&self, _param: &Param, from: &str) -> Result<Option<String>, String> {
        match from {
            "env:TOKEN" => Ok(Some("s3cr3t-t0ken".to_owned())),
            "env:NONE" => Ok(None),
            _ => Err("no such file".to_owned()),
        }
    }

    fn ask(&self, param: &Param) -> Option<String> {
        (param.name == "asked").then(|| "answer".to_owned())
    }
}

/// Files that tasks name.
const FILES: [(&str, &str); 4] = [
    ("lib/a.sh", "echo a"),
    ("app.conf", "port={{ params.port }}\nname={{ host.name }}\n"),
    (
        "secret.conf",
        "token={{ params.token }} on {{ host.name }}\n",
    ),
    ("bad.conf", "port={{ params.prot }}\n"),
];

fn file(path: &str) -> Result<Arc<[u8]>, String> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    let (_, text) = found.ok_or("no such file")?;
    Ok(Arc::from(text.as_bytes()))
}

impl TaskFiles for World {
    fn read(&self, _task: &Task, path: &str) -> Result<Arc<[u8]>, String> {
        file(path)
    }
}

impl Files for World {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        file(path)
    }

    fn paths(&self) -> Vec<String> {
        Vec::new()
    }
}

fn task(name: &str, text: &str) -> Arc<Task> {
    let source = Arc::new(Source {
        path: format!("tasks/{name}.yml").into(),
        text: text.to_owned(),
    });
    Arc::new(read(&source, None, &World).unwrap_or_else(|errors| panic!("{errors:#?}")))
}

/// A plan in the making: a task by its text, further tasks, hosts, and what was typed.
struct Given {
    task: Arc<Task>,
    library: HashMap<String, Arc<Task>>,
    population: Vec<Arc<Host>>,
    targets: Option<Vec<usize>>,
    params: GivenParams,
    overrides: Overrides,
    now: jiff::Timestamp,
    seed: u64,
    last_population: Option<usize>,
}

impl Given {
    fn new(text: &str) -> Self {
        Self {
            task: task("t", text),
            library: HashMap::new(),
            population: fleet(&[("a", 2), ("b", 2)]),
            targets: None,
            params: GivenParams::default(),
            overrides: Overrides::default(),
            now: jiff::Timestamp::UNIX_EPOCH,
            seed: 7,
            last_population: None,
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.params.typed.insert(name.to_owned(), value.to_owned());
        self
    }

    fn calling(mut self, name: &str, text: &str) -> Self {
        self.library.insert(name.to_owned(), task(name, text));
        self
    }

    fn on(mut self, population: Vec<Arc<Host>>) -> Self {
        self.population = population;
        self
    }

    fn plan(&self) -> Result<Plan, Vec<Diagnostic>> {
        let engine = engine();
        let params = CommonParams::resolve(&self.task, &self.params, &World, &engine)?;
        let all = 0..self.population.len();
        let targets = self.targets.clone().unwrap_or_else(|| all.collect());
        let targets: Vec<_> = targets
            .into_iter()
            .map(|index| self.population[index].id.clone())
            .collect();
        build(&PlanRequest {
            task: &self.task,
            library: &|name| self.library.get(name).cloned(),
            files: &World,
            population: self.population.clone(),
            targets: &targets,
            params: &params,
            overrides: &self.overrides,
            engine: &engine,
            fanout: 32,
            now: self.now,
            seed: self.seed,
            last_population: self.last_population,
        })
    }

    fn planned(&self) -> Plan {
        self.plan().unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    fn errors(&self) -> Vec<String> {
        let errors = self.plan().map(|_| ()).unwrap_err();
        errors.iter().map(said).collect()
    }
}

fn engine() -> Engine {
    let world: Arc<dyn Outside> = Arc::new(World);
    Engine::new(&world, Fab::default())
}

/// An error as one line: message, place, context, hints.
fn said(error: &Diagnostic) -> String {
    let place = error.span.as_ref().map(crate::model::SourceSpan::place);
    let parts = [Some(error.message.clone()), place, error.context.clone()];
    let parts = parts.into_iter().flatten();
    parts
        .chain(error.hints.clone())
        .collect::<Vec<_>>()
        .join(" | ")
}

/// What one host runs: `action: text (notes)` a line.
fn runs(plan: &Plan, label: &str) -> Vec<String> {
    let hosts = plan.phases[0].in_order();
    let host = hosts
        .into_iter()
        .find(|planned| planned.host.label.as_str() == label)
        .unwrap();
    let steps = step_texts(&host.steps).into_iter();
    steps
        .map(|step| {
            let notes = if step.notes.is_empty() {
                String::new()
            } else {
                format!(" ({})", step.notes.join(", "))
            };
            format!("{}: {}{notes}", step.action, step.text)
        })
        .collect()
}

fn tagged(hosts: &[Arc<Host>], tags: &[(&str, &str)]) -> Vec<Arc<Host>> {
    let tag = |host: &Arc<Host>| {
        Arc::new(Host {
            tags: tags.iter().copied().collect::<Tags>(),
            ..Host::clone(host)
        })
    };
    hosts.iter().map(tag).collect()
}

const RESTART: &str = "\
task: restart
kind: change
params:
  service: {type: string, default: \"{{ host.tags.service }}\", pattern: \"[a-z]+\"}
  port: {type: int, default: 8080}
vars:
  unit: \"{{ params.service }}.service\"
strategy: {batch: 1, confirm: [start]}
steps:
  - run: [systemctl, restart, \"{{ vars.unit }}\"]
    sudo: true
  - run: \"echo {{ params.service }} > /tmp/x\"
  - run: hostname
";
