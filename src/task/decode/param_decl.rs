//! `params`: their types, limits and defaults. Values that are given for them are `params`' job.

use regex::Regex;

use crate::model::{Diagnostic, Size, parse_duration};
use crate::task::{Param, ParamType, Text};
use crate::yaml::{Entry, Fields, Node, NodeKind};

use super::reader::Reader;
use super::scope::{Scope, Section};
use super::step_decl::did_you_mean;
use super::text_value::For;

const KEYS: [&str; 13] = [
    "type",
    "items",
    "required",
    "default",
    "choices",
    "pattern",
    "min",
    "max",
    "desc",
    "secret",
    "from",
    "example",
    "deprecated",
];

const TYPES: [&str; 12] = [
    "string", "int", "float", "bool", "duration", "size", "enum", "list", "path", "version",
    "host", "selector",
];

/// Attributes of hosts that selectors know: a param of that name could never be told from one.
const SELECTOR_WORDS: [&str; 12] = [
    "az", "region", "id", "name", "ip", "type", "asg", "stack", "state", "vpc", "subnet", "host",
];

impl<'a> Reader<'a> {
    /// `params`.
    pub(super) fn read_params(&mut self, node: &'a Node) {
        let entries = node.expect_entries("`params`", &mut self.errors);
        for entry in entries.unwrap_or_default() {
            let before = self.errors.len();
            self.check_param_name(&entry);
            let param = self.param(&entry);
            for error in &mut self.errors[before..] {
                if error.context.is_none() && !error.message.contains("param `") {
                    error.context = Some(format!("param `{}`", entry.name));
                }
            }
            if let Some(param) = param {
                self.params.insert(entry.name.to_owned(), param);
            }
        }
    }

    fn check_param_name(&mut self, entry: &Entry<'_>) {
        let name = entry.name;
        let error = if SELECTOR_WORDS.contains(&name) {
            Diagnostic::new(format!("param `{name}` has the name of a selector"))
                .label(format!("`{name}=…` selects hosts"))
                .hint("give it another name, such as `service` or `target_host`")
        } else if !is_param_name(name) {
            Diagnostic::new(format!("`{name}` is no name of a param"))
                .hint("small letters, digits and `_`, beginning with a letter")
        } else {
            return;
        };
        self.error(error.at(&entry.key.head()));
    }

    fn param(&mut self, entry: &Entry<'a>) -> Option<Param> {
        let what = format!("param `{}`", entry.name);
        if let Some(word) = entry.value.as_text() {
            let message = format!("{what} is a text, not a map");
            let error = Diagnostic::new(message).at(&entry.value.head());
            self.error(if TYPES.contains(&word) {
                error.hint(format!("write `{{type: {word}}}`"))
            } else {
                error.hint(format!(
                    "write `{{type: string, default: {}}}`",
                    entry.value.written()
                ))
            });
            return None;
        }
        let fields = entry.value.expect_mapping(&what, &KEYS, &mut self.errors)?;
        let of = self.param_type(&fields);
        let secret = fields.bool("secret", &mut self.errors).unwrap_or(false);
        let param = Param {
            name: entry.name.to_owned(),
            required: fields.bool("required", &mut self.errors).unwrap_or(false),
            default: self.param_default(&fields, &of),
            choices: self.choices(&fields, &of),
            pattern: self.anchored(&fields, &of),
            min: self.limit(&fields, "min", &of),
            max: self.limit(&fields, "max", &of),
            desc: fields.string("desc", &mut self.errors).unwrap_or_default(),
            secret,
            from: self.param_from(&fields),
            example: fields.string("example", &mut self.errors),
            deprecated: fields.string("deprecated", &mut self.errors),
            span: entry.key.head(),
            of,
        };
        self.check_param(&param, &fields);
        Some(param)
    }

    /// What contradicts itself.
    fn check_param(&mut self, param: &Param, fields: &Fields<'a>) {
        if let Some(default) = fields.entry("default") {
            if param.required {
                let error = Diagnostic::new(format!(
                    "param `{}` is required and has a default",
                    param.name
                ))
                .at(&default.key.head())
                .hint("what must be given needs no default: drop one of the two");
                self.error(error);
            } else if param.secret {
                let error = Diagnostic::new(format!(
                    "secret param `{}` has a default in the file",
                    param.name
                ))
                .at(&default.key.head())
                .hint("use `from: env:NAME`, `from: file:PATH` or `from: prompt`");
                self.error(error);
            } else if let Some(Text::Plain(text)) = &param.default
                && let Err(error) = param.parse(text)
            {
                self.error(error.at(&default.value.head()));
            }
        }
    }

    fn param_type(&mut self, fields: &Fields<'a>) -> ParamType {
        let Some(name) = fields.string("type", &mut self.errors) else {
            return if fields.has("choices") {
                ParamType::Enum
            } else {
                ParamType::String
            };
        };
        let at = fields.get("type");
        if name != "list"
            && let Some(items) = fields.entry("items")
        {
            let error = Diagnostic::new("`items` without `type: list`");
            self.error(error.at(&items.key.head()));
        }
        if name != "list" {
            return self.simple_type(&name, at).unwrap_or(ParamType::String);
        }
        let items = fields.string("items", &mut self.errors);
        let items = items.as_deref().unwrap_or("string");
        let element = if matches!(items, "list" | "enum") {
            let message = format!("a list of `{items}` is not possible");
            let at = fields
                .get("items")
                .map_or_else(|| fields.head().clone(), Node::head);
            self.error(Diagnostic::new(message).at(&at));
            None
        } else {
            self.simple_type(items, fields.get("items"))
        };
        ParamType::List(Box::new(element.unwrap_or(ParamType::String)))
    }

    fn simple_type(&mut self, name: &str, at: Option<&'a Node>) -> Option<ParamType> {
        Some(match name {
            "string" => ParamType::String,
            "int" => ParamType::Int,
            "float" => ParamType::Float,
            "bool" => ParamType::Bool,
            "duration" => ParamType::Duration,
            "size" => ParamType::Size,
            "enum" => ParamType::Enum,
            "path" => ParamType::Path,
            "version" => ParamType::Version,
            "host" => ParamType::Host,
            "selector" => ParamType::Selector,
            other => {
                let error = Diagnostic::new(format!("no type is called `{other}`"));
                let error = did_you_mean(error, other, TYPES);
                let error = error.hint(format!("types: {}", TYPES.join(", ")));
                self.error(match at {
                    Some(node) => error.at(&node.head()),
                    None => error,
                });
                return None;
            }
        })
    }

    /// The default as a text; a list's elements stand with commas between, as on the command line.
    fn param_default(&mut self, fields: &Fields<'a>, of: &ParamType) -> Option<Text> {
        let node = fields.read("default", &mut self.errors, |node, _, _| Some(node))?;
        if let (ParamType::List(_), NodeKind::Sequence(items)) = (of, &node.kind) {
            let words = node.expect_strings("`default`", &mut self.errors)?;
            for (word, item) in words.iter().zip(items) {
                if word.contains(',') {
                    let message = format!("`{word}`: commas stand between the values of a list");
                    self.error(Diagnostic::new(message).at(&item.head()));
                }
            }
            return Some(Text::Plain(words.join(",").into()));
        }
        let scope = Scope::of(Section::ParamDefault);
        self.text(node, "`default`", &scope, For::Plain)
    }

    fn choices(&mut self, fields: &Fields<'a>, of: &ParamType) -> Vec<String> {
        let is_enum = matches!(of, ParamType::Enum);
        let Some(entry) = fields.entry("choices") else {
            if is_enum {
                let error = Diagnostic::new("an enum without `choices`").at(fields.head());
                self.error(error.hint("write `choices: [a, b]`"));
            }
            return Vec::new();
        };
        if matches!(of, ParamType::List(_) | ParamType::Bool) {
            let error = Diagnostic::new("`choices` have no effect on this type");
            self.error(
                error
                    .at(&entry.key.head())
                    .hint("they belong to `type: enum`"),
            );
        }
        let choices = entry
            .value
            .expect_sequence("`choices`", &mut self.errors)
            .and_then(|_| entry.value.expect_strings("`choices`", &mut self.errors))
            .unwrap_or_default();
        if choices.is_empty() {
            let error = Diagnostic::new("`choices` is empty").at(&entry.key.head());
            self.error(error);
        }
        choices
    }

    fn anchored(&mut self, fields: &Fields<'a>, of: &ParamType) -> Option<Regex> {
        let pattern = fields.string("pattern", &mut self.errors)?;
        let entry = fields.entry("pattern")?;
        let of = match of {
            ParamType::List(element) => element,
            other => other,
        };
        if matches!(
            of,
            ParamType::Int
                | ParamType::Float
                | ParamType::Bool
                | ParamType::Duration
                | ParamType::Size
        ) {
            let error = Diagnostic::new("`pattern` is for texts; use `min` and `max`");
            self.error(error.at(&entry.key.head()));
        }
        // Compiled alone first, so that a stray parenthesis is found.
        self.regex("`pattern`", &pattern, entry.value)?;
        Regex::new(&format!(r"\A(?:{pattern})\z")).ok()
    }

    fn limit(&mut self, fields: &Fields<'a>, key: &str, of: &ParamType) -> Option<String> {
        let text = fields.string(key, &mut self.errors)?;
        let entry = fields.entry(key)?;
        let problem = match of {
            // How many elements.
            ParamType::List(_) => text
                .parse::<usize>()
                .err()
                .map(|_| "is no number of values"),
            ParamType::Int => text.parse::<i64>().err().map(|_| "is no whole number"),
            ParamType::Float => text.parse::<f64>().err().map(|_| "is no number"),
            ParamType::Duration => parse_duration(&text).err().map(|_| "is no duration"),
            ParamType::Size => text.parse::<Size>().err().map(|_| "is no size"),
            _ => Some("has no effect on this type"),
        };
        if let Some(problem) = problem {
            let message = format!("`{key}: {text}` {problem}");
            self.error(Diagnostic::new(message).at(&entry.key.head()));
            return None;
        }
        Some(text)
    }

    fn param_from(&mut self, fields: &Fields<'a>) -> Option<String> {
        let from = fields.string("from", &mut self.errors)?;
        let entry = fields.entry("from")?;
        let (kind, rest) = from.split_once(':').unwrap_or((&from, ""));
        match kind {
            "prompt" if rest.is_empty() => {}
            "env" | "file" if !rest.is_empty() => {}
            "ssm" | "secretsmanager" if !rest.is_empty() => {
                self.unsupported(&format!("`from: {kind}`"), &entry.key.head());
            }
            _ => {
                let error = Diagnostic::new(format!("`from: {from}` names no source"))
                    .at(&entry.value.head())
                    .hint("sources: env:NAME, file:PATH, prompt, ssm:/PATH, secretsmanager:ID");
                self.error(error);
                return None;
            }
        }
        Some(from)
    }
}

/// `[a-z][a-z0-9_]*`, as task names are.
pub(super) fn is_param_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}
