//! Reads a param's text as a value of its type and holds it against the param's limits. Where the text came
//! from is `param_given`'s.

use std::cmp::Ordering;

use super::{Param, ParamType, ParamValue};
use crate::model::selector::{Term, TermError};
use crate::model::{Diagnostic, Secret, nearest, parse_duration};

/// The fewest bytes of a secret: what is shorter would be masked in ordinary words.
const SHORTEST_SECRET: usize = 6;

impl Param {
    /// The value of this text.
    ///
    /// # Errors
    /// The text is no value of the param's type or outside of its limits. A secret's text is never part of
    /// the message.
    pub fn parse(&self, text: &str) -> Result<ParamValue, Diagnostic> {
        let refused = |problem: Problem| {
            let message = if self.secret {
                format!("param `{}`: the value does not fit", self.name)
            } else {
                format!("param `{}`: {}", self.name, problem.message)
            };
            let hints = problem.hints.into_iter().filter(|_| !self.secret);
            let example = self.example.iter();
            let example = example.map(|example| format!("such as `{}={example}`", self.name));
            hints
                .chain(example)
                .fold(Diagnostic::new(message), Diagnostic::hint)
        };
        let value = parse(&self.of, text, &self.choices).map_err(refused)?;
        self.check_limits(text, &value).map_err(refused)?;
        if !self.secret {
            return Ok(value);
        }
        if text.len() < SHORTEST_SECRET {
            let message = format!(
                "param `{}`: a secret has {SHORTEST_SECRET} bytes or more, since every occurrence of it is masked",
                self.name
            );
            return Err(Diagnostic::new(message));
        }
        Ok(ParamValue::Secret(Secret::new(text)))
    }

    fn check_limits(&self, text: &str, value: &ParamValue) -> Result<(), Problem> {
        let allowed = |choice: &String| choice == text;
        if !self.choices.is_empty() && !self.choices.iter().any(allowed) && !is_list(value) {
            return Err(not_a_choice(text, &self.choices));
        }
        if let Some(pattern) = &self.pattern
            && !pattern.is_match(text)
        {
            let message = format!(
                "`{text}` does not match `{}`",
                without_anchors(pattern.as_str())
            );
            return Err(Problem::new(message));
        }
        let limits = [
            (&self.min, Ordering::Less, "less than the minimum"),
            (&self.max, Ordering::Greater, "more than the maximum"),
        ];
        for (limit, wrong, words) in limits {
            let Some(limit) = limit else { continue };
            if self.compare(value, limit) == Some(wrong) {
                return Err(Problem::new(format!("`{text}` is {words}, {limit}")));
            }
        }
        Ok(())
    }

    /// How a value compares with a limit as written; `None` where the type has no order. A list's limits
    /// are numbers of elements.
    fn compare(&self, value: &ParamValue, limit: &str) -> Option<Ordering> {
        if let ParamValue::List(elements) = value {
            return Some(elements.len().cmp(&limit.parse().ok()?));
        }
        match (value, parse(&self.of, limit, &[]).ok()?) {
            (ParamValue::Int(value), ParamValue::Int(limit)) => Some(value.cmp(&limit)),
            (ParamValue::Float(value), ParamValue::Float(limit)) => value.partial_cmp(&limit),
            (ParamValue::Duration(value), ParamValue::Duration(limit)) => Some(value.cmp(&limit)),
            (ParamValue::Size(value), ParamValue::Size(limit)) => Some(value.cmp(&limit)),
            _ => None,
        }
    }
}

/// A pattern as its task has it: the anchors were added when it was read.
fn without_anchors(pattern: &str) -> &str {
    let inner = pattern
        .strip_prefix(r"\A(?:")
        .and_then(|rest| rest.strip_suffix(r")\z"));
    inner.unwrap_or(pattern)
}

fn is_list(value: &ParamValue) -> bool {
    matches!(value, ParamValue::List(_))
}

/// Why a text is no value.
struct Problem {
    message: String,
    hints: Vec<String>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

fn parse(of: &ParamType, text: &str, choices: &[String]) -> Result<ParamValue, Problem> {
    let whole = |what: &str| Problem::new(format!("`{text}` is not {what}"));
    match of {
        ParamType::String | ParamType::Enum => Ok(ParamValue::String(text.to_owned())),
        ParamType::Int => text
            .parse()
            .map(ParamValue::Int)
            .map_err(|_| whole("a whole number")),
        ParamType::Float => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(ParamValue::Float)
            .ok_or_else(|| whole("a number")),
        ParamType::Bool => match text {
            "true" => Ok(ParamValue::Bool(true)),
            "false" => Ok(ParamValue::Bool(false)),
            _ => Err(whole("`true` or `false`")),
        },
        ParamType::Duration => parse_duration(text)
            .map(ParamValue::Duration)
            .map_err(|error| Problem::new(error.to_string())),
        ParamType::Size => text
            .parse()
            .map(ParamValue::Size)
            .map_err(|error: crate::model::SizeError| Problem::new(error.to_string())),
        ParamType::List(items) => elements(text)?
            .iter()
            .map(|element| {
                if !choices.is_empty() && !choices.contains(element) {
                    return Err(not_a_choice(element, choices));
                }
                parse(items, element, &[])
            })
            .collect::<Result<_, _>>()
            .map(ParamValue::List),
        ParamType::Path => word(text, "a path", |c| c != '\0'),
        ParamType::Version => word(text, "a version such as `1.4.2`", |c| {
            c.is_ascii_alphanumeric() || "._+~-".contains(c)
        }),
        ParamType::Host => word(text, "a host", |c| !c.is_whitespace() && !c.is_control()),
        ParamType::Selector => selector(text),
    }
}

/// A text that is not empty and holds nothing but the given characters.
fn word(text: &str, what: &str, fits: impl Fn(char) -> bool) -> Result<ParamValue, Problem> {
    if text.chars().all(fits) && !text.is_empty() {
        Ok(ParamValue::String(text.to_owned()))
    } else {
        Err(Problem::new(format!("`{text}` is not {what}")))
    }
}

fn selector(text: &str) -> Result<ParamValue, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new("an empty selector"));
    }
    for word in text.split_whitespace() {
        word.parse::<Term>()
            .map_err(|error: TermError| Problem::new(error.to_string()))?;
    }
    Ok(ParamValue::String(text.to_owned()))
}

/// A list's elements: separated by commas, or a JSON array where one holds a comma.
fn elements(text: &str) -> Result<Vec<String>, Problem> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if !text.starts_with('[') {
        return Ok(text
            .split(',')
            .map(|element| element.trim().to_owned())
            .collect());
    }
    let array: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| {
        Problem::new(format!("`{text}` is not a list: {error}"))
            .hint("write the elements with commas between them")
    })?;
    Ok(array.iter().map(json_text).collect())
}

/// A value of a params file as the text that the command line would have.
pub(super) fn json_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn not_a_choice(text: &str, choices: &[String]) -> Problem {
    let problem = Problem::new(format!("`{text}` is none of {}", choices.join(", ")));
    match nearest(text, choices.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use regex::Regex;

    use super::*;
    use crate::model::{Size, Source, SourceSpan};

    pub(in crate::task) fn param(name: &str, of: ParamType) -> Param {
        let source = Arc::new(Source {
            path: "t.yml".into(),
            text: String::new(),
        });
        Param {
            name: name.to_owned(),
            of,
            required: false,
            default: None,
            choices: Vec::new(),
            pattern: None,
            min: None,
            max: None,
            desc: String::new(),
            secret: false,
            from: None,
            example: None,
            deprecated: None,
            span: SourceSpan::new(&source, 0..0),
        }
    }

    fn message(param: &Param, text: &str) -> String {
        param.parse(text).unwrap_err().message
    }

    #[test]
    fn texts_become_values_of_their_type() {
        let text = |text: &str| ParamValue::String(text.to_owned());
        let list = || ParamType::List(Box::new(ParamType::Int));
        for (of, given, expected) in [
            (ParamType::String, "", text("")),
            (ParamType::Int, "-5", ParamValue::Int(-5)),
            (ParamType::Float, "1.5", ParamValue::Float(1.5)),
            (ParamType::Bool, "true", ParamValue::Bool(true)),
            (
                ParamType::Duration,
                "90s",
                ParamValue::Duration(Duration::from_secs(90)),
            ),
            (ParamType::Size, "2KiB", ParamValue::Size(Size(2048))),
            (ParamType::Path, "/x y", text("/x y")),
            (ParamType::Version, "1.4.2-rc1", text("1.4.2-rc1")),
            (ParamType::Host, "web-a1", text("web-a1")),
            (
                ParamType::Selector,
                "role=app az!=a",
                text("role=app az!=a"),
            ),
            (list(), "", ParamValue::List(vec![])),
            (
                list(),
                "1, 2",
                ParamValue::List(vec![ParamValue::Int(1), ParamValue::Int(2)]),
            ),
            (list(), "[1]", ParamValue::List(vec![ParamValue::Int(1)])),
        ] {
            assert_eq!(param("p", of).parse(given), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_value_says_why() {
        for (of, given, expected) in [
            (
                ParamType::Int,
                "5s",
                "param `p`: `5s` is not a whole number",
            ),
            (ParamType::Float, "nan", "param `p`: `nan` is not a number"),
            (
                ParamType::Bool,
                "yes",
                "param `p`: `yes` is not `true` or `false`",
            ),
            (
                ParamType::Duration,
                "5",
                "param `p`: `5` is not a duration such as `10s`, `2m` or `1h30m`",
            ),
            (
                ParamType::Size,
                "5",
                "param `p`: `5` is not a size such as `512KiB`, `200MiB` or `50GiB`",
            ),
            (ParamType::Path, "", "param `p`: `` is not a path"),
            (
                ParamType::Version,
                "1 2",
                "param `p`: `1 2` is not a version such as `1.4.2`",
            ),
            (ParamType::Selector, " ", "param `p`: an empty selector"),
            (
                ParamType::List(Box::new(ParamType::Int)),
                "1,x",
                "param `p`: `x` is not a whole number",
            ),
        ] {
            assert_eq!(message(&param("p", of), given), expected, "{given}");
        }
    }

    #[test]
    fn limits_hold() {
        let port = Param {
            min: Some("1".to_owned()),
            max: Some("65535".to_owned()),
            ..param("port", ParamType::Int)
        };
        assert_eq!(port.parse("1"), Ok(ParamValue::Int(1)));
        assert_eq!(
            message(&port, "0"),
            "param `port`: `0` is less than the minimum, 1"
        );
        assert_eq!(
            message(&port, "65536"),
            "param `port`: `65536` is more than the maximum, 65535"
        );
        let service = Param {
            pattern: Some(Regex::new(r"\A(?:[a-z]+)\z").unwrap()),
            ..param("service", ParamType::String)
        };
        assert!(service.parse("api").is_ok());
        assert_eq!(
            message(&service, "a b"),
            "param `service`: `a b` does not match `[a-z]+`"
        );
        let level = Param {
            choices: vec!["debug".to_owned(), "info".to_owned()],
            ..param("level", ParamType::Enum)
        };
        let error = level.parse("debgu").unwrap_err();
        assert_eq!(
            error.message,
            "param `level`: `debgu` is none of debug, info"
        );
        assert_eq!(error.hints, ["did you mean `debug`?"]);
        let few = Param {
            max: Some("1".to_owned()),
            ..param("few", ParamType::List(Box::new(ParamType::String)))
        };
        assert_eq!(
            message(&few, "a,b"),
            "param `few`: `a,b` is more than the maximum, 1"
        );
    }

    #[test]
    fn a_secret_is_never_part_of_a_message() {
        let secret = Param {
            secret: true,
            ..param("pin", ParamType::Int)
        };
        assert_eq!(
            secret.parse("123456"),
            Ok(ParamValue::Secret(Secret::new("123456")))
        );
        assert_eq!(
            message(&secret, "letmein"),
            "param `pin`: the value does not fit"
        );
        assert_eq!(
            message(&secret, "12345"),
            "param `pin`: a secret has 6 bytes or more, since every occurrence of it is masked"
        );
    }
}
