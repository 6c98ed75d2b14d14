//! What a scope says of a name that is not there: what was meant, and where such names come from.

use super::host_view::FIELDS;
use super::{ROOTS, Scope};
use crate::model::{Diagnostic, SourceSpan, nearest};

impl Scope {
    /// "step `unpack`, rendered for host web-a1", as far as either is known.
    pub(crate) fn context(&self) -> String {
        let step = self.step.as_ref().map(|step| format!("step `{step}`"));
        let host = self
            .label()
            .map(|label| format!("rendered for host {label}"));
        [step, host]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The diagnostic for a name that has no value here.
    pub(crate) fn not_defined(&self, path: &str, span: &SourceSpan) -> Diagnostic {
        let diagnostic = match (path.strip_prefix("host.tags."), self.label()) {
            (Some(tag), Some(label)) => Diagnostic::new(format!("host {label} has no tag `{tag}`")),
            (None, Some(label)) if path.starts_with("host.facts.") => {
                let fact = path["host.facts.".len()..].split('.').next();
                let fact = fact.unwrap_or_default();
                Diagnostic::new(format!("host {label} has not told fact `{fact}`"))
            }
            _ => Diagnostic::new(format!("variable `{path}` is not defined")),
        };
        let context = self.context();
        let diagnostic = if context.is_empty() {
            diagnostic.at(span)
        } else {
            diagnostic.at(span).context(context)
        };
        match self.meant(path) {
            Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
            None => Self::origins(path)
                .into_iter()
                .fold(diagnostic, Diagnostic::hint),
        }
    }

    /// The name that `path` was probably meant to be.
    fn meant(&self, path: &str) -> Option<String> {
        if let Some((root, rest)) = path.split_once('.')
            && self.get(root).is_none()
        {
            return self.nearest_root(root).map(|near| format!("{near}.{rest}"));
        }
        if let Some((parent, child)) = path.rsplit_once('.') {
            let children = self.children(parent);
            if let Some(near) = nearest(child, children.iter().map(String::as_str)) {
                return Some(format!("{parent}.{near}"));
            }
            return None;
        }
        ["params", "vars", "host.vars", "host", "host.tags"]
            .into_iter()
            .find(|parent| self.children(parent).iter().any(|child| child == path))
            .map(|parent| format!("{parent}.{path}"))
            .or_else(|| self.nearest_root(path).map(str::to_owned))
    }

    fn nearest_root(&self, word: &str) -> Option<&str> {
        let roots = ROOTS.into_iter().chain(["fab"]);
        let locals = self.locals.keys().map(|name| &**name);
        nearest(word, roots.chain(locals))
    }

    fn children(&self, parent: &str) -> Vec<String> {
        let host = self.host();
        match parent {
            "params" => self.params.keys().cloned().collect(),
            "vars" => self.vars.keys().cloned().collect(),
            "host" => FIELDS.into_iter().map(str::to_owned).collect(),
            "host.tags" => host.map_or_else(Vec::new, |host| {
                host.tags.iter().map(|(key, _)| key.to_owned()).collect()
            }),
            "host.vars" => host.map_or_else(Vec::new, |host| host.vars.keys().cloned().collect()),
            _ => {
                let Some(value) = self.get(parent) else {
                    return Vec::new();
                };
                let keys = value.try_iter().into_iter().flatten();
                keys.filter_map(|key| key.as_str().map(str::to_owned))
                    .collect()
            }
        }
    }

    /// Where a name like this could come from.
    fn origins(path: &str) -> Vec<String> {
        match path.split_once('.') {
            Some(("host", rest)) if rest.starts_with("tags.") => {
                vec![format!(
                    "`{path} | default(\"…\")` allows for hosts without it"
                )]
            }
            Some(("params", name)) => vec![format!(
                "declare `{name}` in `params:`; if it stands there it has no value, which `required: true` would say"
            )],
            Some(("vars", name)) => vec![format!("declare `{name}` in `vars:`")],
            Some(_) => Vec::new(),
            None => vec![format!(
                "declare it in `params:` or `vars:`, or use `host.vars.{path}`"
            )],
        }
    }
}
