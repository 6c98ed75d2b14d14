//! Whether the names that a template or expression reads exist. Finding them in the text is `text_value`'s
//! job, what exists where is `scope`'s.

use crate::model::{Diagnostic, nearest};
use crate::task::NamePath;

use super::reader::Reader;
use super::scope::{FUNCTIONS, Known, LATER, RESULT, Scope, Section, attributes};

impl Reader<'_> {
    /// Checks one name; gives its root where that is known only while the steps run.
    pub(super) fn check_name(&mut self, used: &NamePath, scope: &Scope) -> Option<String> {
        let (root, rest) = used.path.split_once('.').unwrap_or((&used.path, ""));
        let attribute = rest.split('.').next().unwrap_or_default();
        if LATER.contains(&root) {
            let what = format!("`{root}` in a template");
            self.unsupported(&what, &used.span);
        }
        let known = scope.roots().contains(&root);
        if !known {
            if !FUNCTIONS.contains(&root) {
                let error = self.not_defined(root, used, scope);
                self.error(error);
            }
            return None;
        }
        if root == "results" && !scope.results {
            let error = Diagnostic::new("`results` is not known here").at(&used.span);
            self.error(error.hint("it is known after a step with `barrier: true`, and in `after`"));
            return None;
        }
        let late = scope.is_late(root).then(|| root.to_owned());
        if attribute.is_empty() {
            return late;
        }
        let candidates: Vec<&str> = match root {
            "params" => self.params.keys().map(String::as_str).collect(),
            "vars" => self.vars.iter().map(String::as_str).collect(),
            _ if scope.registers.get(root) == Some(&Known::Result) => RESULT.to_vec(),
            _ if scope.registers.contains_key(root) => return late,
            "host" if attribute == "facts" => return self.check_fact(rest, used, scope),
            _ => match attributes(root) {
                Some(known) => known.to_vec(),
                None => return late,
            },
        };
        if !candidates.contains(&attribute) {
            let error = Self::no_attribute(root, attribute, used, &candidates);
            self.error(error);
        }
        late
    }

    /// `host.facts.NAME` must be the register of a fact; what it is only a run knows.
    fn check_fact(&mut self, rest: &str, used: &NamePath, scope: &Scope) -> Option<String> {
        if !scope.section.has_facts() {
            let error = Diagnostic::new("`host.facts` is not known here").at(&used.span);
            self.error(match scope.section {
                Section::Facts => error.hint("a fact reads an earlier one by its `register`"),
                Section::ParamDefault => error.hint(scope.section.because()),
                _ => error.hint("facts are read once the plan is made"),
            });
            return None;
        }
        let late = Some("host.facts".to_owned());
        let Some(name) = rest.split('.').nth(1) else {
            return late;
        };
        if self.facts.iter().any(|fact| fact == name) {
            return late;
        }
        let candidates: Vec<&str> = self.facts.iter().map(String::as_str).collect();
        let mut error = Diagnostic::new(format!("fact `{name}` is not defined")).at(&used.span);
        error = match nearest(name, candidates) {
            Some(near) => error.label(format!("did you mean `host.facts.{near}`?")),
            None => error.hint("a fact is the `register` of a step in `facts:`"),
        };
        self.error(error);
        None
    }

    fn no_attribute(
        root: &str,
        attribute: &str,
        used: &NamePath,
        candidates: &[&str],
    ) -> Diagnostic {
        let message = match root {
            "params" => format!("param `{attribute}` is not declared"),
            "vars" => format!("`vars.{attribute}` is not declared here"),
            _ => format!("`{root}` has no `{attribute}`"),
        };
        let error = Diagnostic::new(message).at(&used.span);
        match nearest(attribute, candidates.iter().copied()) {
            Some(near) => error.label(format!("did you mean `{root}.{near}`?")),
            None if root == "params" => error.hint("declare it in `params:`"),
            None if root == "vars" => error.hint("declare it in `vars:`, before what reads it"),
            None => error.hint(format!("`{root}` has {}", candidates.join(", "))),
        }
    }

    fn not_defined(&self, root: &str, used: &NamePath, scope: &Scope) -> Diagnostic {
        let error = Diagnostic::new(format!("variable `{root}` is not defined")).at(&used.span);
        if let Some(key) = self.registers.get(root) {
            return error
                .label("registered by a later step, or where this cannot see it")
                .hint(format!("`{root}` is registered at {}", key.span.place()));
        }
        if super::scope::BUILT_IN.contains(&root) {
            return error
                .label(format!("`{root}` is not known here"))
                .hint(scope.section.because());
        }
        if self.params.contains_key(root) {
            return error.label(format!("did you mean `params.{root}`?"));
        }
        if self.vars.iter().any(|name| name == root) {
            return error.label(format!("did you mean `vars.{root}`?"));
        }
        if RESULT.contains(&root) {
            return error.hint(format!(
                "give the step a `register: NAME` and read `NAME.{root}`"
            ));
        }
        let known = scope.roots();
        if let Some(near) = nearest(root, known.iter().copied().chain(FUNCTIONS)) {
            return error.label(format!("did you mean `{near}`?"));
        }
        match nearest(root, self.params.keys().map(String::as_str)) {
            Some(near) => error.label(format!("did you mean `params.{near}`?")),
            None => error.hint("declare it in `params:` or `vars:`, or use `host.vars.…`"),
        }
    }
}
