//! Which words of the command line are params of the task and which select hosts. The rule is strict: a
//! word that is neither is an error before any connection, never a guess.

use indexmap::IndexMap;

use super::selector::{Attribute, Key, Operator, TagKeys, Term, TermError, split};
use super::{Diagnostic, Host, nearest};

/// The words that were typed, in their kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypedWords {
    /// `KEY OP VALUE` words, and `all`.
    pub words: Vec<String>,
    /// `--set KEY=VALUE`: always a param.
    pub set: Vec<String>,
    /// `--select TERM`: always a selector.
    pub select: Vec<String>,
}

/// What the words may mean: params of the task, and what the hosts of the inventory are called and bear.
#[derive(Debug, Clone, Copy)]
pub struct Meanings<'a> {
    /// The params that the task declares; empty where there is no task.
    pub params: &'a [&'a str],
    /// The tags that hosts bear.
    pub tags: &'a TagKeys,
    /// The hosts, for hints.
    pub hosts: &'a [Host],
}

/// The words, told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SortedWords {
    /// Values of params, as typed, in the order typed.
    pub params: IndexMap<String, String>,
    /// Selector terms, in the order typed.
    pub terms: Vec<Term>,
}

/// Whether a selector among the words asks for the instance state, so that instances which do not run must
/// be listed too. Asked before the inventory is; no param can be named `state`.
pub fn ask_for_state(typed: &TypedWords) -> bool {
    let state = Attribute::State.name();
    let words = typed.words.iter().chain(&typed.select);
    words
        .filter_map(|word| split(word))
        .any(|(key, _, _)| key == state)
}

/// Tells params and selectors apart: a key that the task declares is that param; a built-in attribute or a
/// tag that some host bears is a selector; anything else is an error with the nearest match. A word with
/// `!=` or `~=` is never a param.
///
/// # Errors
/// Every word that is neither, every selector that cannot be read, and every param given twice.
pub fn sort_words(
    typed: &TypedWords,
    meanings: Meanings<'_>,
) -> Result<SortedWords, Vec<Diagnostic>> {
    let mut sorted = SortedWords::default();
    let mut errors = Vec::new();
    for word in &typed.words {
        let result = match meanings.kind_of(word) {
            Ok(WordKind::Param(key, value)) => sorted.set_param(key, value),
            Ok(WordKind::Selector) => sorted.add_term(word),
            Err(error) => Err(error),
        };
        errors.extend(result.err());
    }
    for word in &typed.set {
        errors.extend(meanings.set(word, &mut sorted).err());
    }
    for word in &typed.select {
        let result = match meanings.check_selector(word) {
            Ok(()) => sorted.add_term(word),
            Err(error) => Err(error),
        };
        errors.extend(result.err());
    }
    if errors.is_empty() {
        Ok(sorted)
    } else {
        Err(errors.into_iter().map(|error| *error).collect())
    }
}

type Refused = Box<Diagnostic>;

enum WordKind<'w> {
    Param(&'w str, &'w str),
    Selector,
}

impl Meanings<'_> {
    fn kind_of<'w>(&self, word: &'w str) -> Result<WordKind<'w>, Refused> {
        match split(word) {
            Some((key, Operator::Equal, value)) if self.params.contains(&key) => {
                Ok(WordKind::Param(key, value))
            }
            Some((key, operator, _)) if !key.is_empty() => {
                self.known_selector(word, key, operator)?;
                Ok(WordKind::Selector)
            }
            Some(_) => Ok(WordKind::Selector),
            None if word == "all" => Ok(WordKind::Selector),
            None => Err(Box::new(self.bare_word(word))),
        }
    }

    /// Checks that some host bears what a selector asks for, whatever its value: for `--select`, `-x` and
    /// `--limit`. Whether the word can be read is not looked at.
    ///
    /// # Errors
    /// No host bears it; with the nearest match.
    pub fn check_selector(&self, word: &str) -> Result<(), Box<Diagnostic>> {
        match split(word) {
            Some((key, operator, _)) if !key.is_empty() => {
                self.without_params().known_selector(word, key, operator)
            }
            _ => Ok(()),
        }
    }

    fn without_params(self) -> Self {
        Self {
            params: &[],
            ..self
        }
    }

    /// `--set KEY=VALUE`.
    fn set(&self, word: &str, sorted: &mut SortedWords) -> Result<(), Refused> {
        let Some((key, value)) = word.split_once('=') else {
            let error = Diagnostic::new(format!("`--set {word}` has no value"));
            return Err(Box::new(error.hint("write `--set KEY=VALUE`")));
        };
        if self.params.contains(&key) {
            return sorted.set_param(key, value);
        }
        let error = Diagnostic::new(format!("the task has no param `{key}`"));
        Err(Box::new(match nearest(key, self.params.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `--set {near}={value}`?")),
            None => error.hint(listed("params", self.params)),
        }))
    }

    fn known_selector(&self, word: &str, key: &str, operator: Operator) -> Result<(), Refused> {
        let known = match Key::parse(key) {
            Key::Attribute(_) => true,
            Key::ExactTag(key) => self.tags.bears(&key),
            Key::Tag(key) => match self.tags.spelling(&key) {
                Ok(found) => found.is_some(),
                Err(error) => return Err(Box::new(error.diagnostic())),
            },
        };
        if known {
            return Ok(());
        }
        let is_param = self.params.contains(&key);
        let error = Diagnostic::new(if is_param {
            format!("`{word}` is a selector, but no host bears the tag `{key}`")
        } else if self.params.is_empty() {
            format!("`{key}` is neither an attribute nor a tag that any host bears")
        } else {
            format!("`{key}` is neither a param of the task nor a tag that any host bears")
        });
        Err(Box::new(if is_param {
            error.hint(format!("to set the param, write `{key}=VALUE`"))
        } else {
            self.propose(error, word, key, operator)
        }))
    }

    /// The nearest of params, attributes and tags, else what there is.
    fn propose(&self, error: Diagnostic, word: &str, key: &str, operator: Operator) -> Diagnostic {
        let attributes = Attribute::ALL.map(Attribute::name);
        let params = self.params.iter().filter(|_| operator == Operator::Equal);
        let candidates = params.copied().chain(self.tags.iter()).chain(attributes);
        let error = match nearest(key, candidates) {
            Some(near) => error.hint(format!("did you mean `{near}{}`?", &word[key.len()..])),
            None if self.params.is_empty() => error,
            None => error.hint(listed("params", self.params)),
        };
        let tags: Vec<&str> = self.tags.iter().collect();
        error.hint(listed("tags", &tags))
    }

    fn bare_word(&self, word: &str) -> Diagnostic {
        let error = Diagnostic::new(format!("`{word}` is not `KEY=VALUE`"));
        let is_host = |host: &Host| Attribute::Host.values(host).contains(&word);
        if self.hosts.iter().any(is_host) {
            return error.hint(format!("it is a host: `-H {word}`"));
        }
        if self.params.contains(&word) {
            return error.hint(format!("it is a param: `{word}=VALUE`"));
        }
        let names = self.hosts.iter().map(|host| host.name.as_str());
        match nearest(word, names) {
            Some(near) => error.hint(format!("did you mean the host `-H {near}`?")),
            None => error.hint(
                "select hosts with words such as `role=app`, name them with `-H`, or say `all`",
            ),
        }
    }
}

/// How many names a hint lists.
const NAMES_SHOWN: usize = 15;

fn listed(what: &str, names: &[&str]) -> String {
    match names.len() {
        0 => format!("there are no {what}"),
        count if count <= NAMES_SHOWN => format!("{what}: {}", names.join(", ")),
        count => format!(
            "{what}: {} and {} more",
            names[..NAMES_SHOWN].join(", "),
            count - NAMES_SHOWN
        ),
    }
}

impl SortedWords {
    fn set_param(&mut self, key: &str, value: &str) -> Result<(), Refused> {
        let earlier = self.params.insert(key.to_owned(), value.to_owned());
        if earlier.is_none() {
            return Ok(());
        }
        let error = Diagnostic::new(format!("param `{key}` is given twice"));
        let hint = format!("for a selector of that name write `--select {key}=…`");
        Err(Box::new(error.hint(hint)))
    }

    fn add_term(&mut self, word: &str) -> Result<(), Refused> {
        let term: Term = word
            .parse()
            .map_err(|error: TermError| Box::new(error.diagnostic()))?;
        self.terms.push(term);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;

    const PARAMS: [&str; 3] = ["service", "version", "role_arn"];

    fn fleet() -> Vec<Host> {
        ["app-1", "db-1"]
            .into_iter()
            .map(|name| Host {
                tags: Tags::from_iter([("Role", &name[..name.len() - 2]), ("env", "prod")]),
                ..Host::named(name, "10.0.0.1")
            })
            .collect()
    }

    fn sort_typed(typed: &TypedWords, params: &[&str]) -> Result<SortedWords, Vec<Diagnostic>> {
        let hosts = fleet();
        let tags = TagKeys::new(&hosts, &IndexMap::new());
        let meanings = Meanings {
            params,
            tags: &tags,
            hosts: &hosts,
        };
        sort_words(typed, meanings)
    }

    fn sort(words: &[&str]) -> Result<SortedWords, Vec<Diagnostic>> {
        let typed = TypedWords {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            ..TypedWords::default()
        };
        sort_typed(&typed, &PARAMS)
    }

    fn refused(word: &str) -> (String, Vec<String>) {
        let mut errors = sort(&[word]).unwrap_err();
        assert_eq!(errors.len(), 1, "{word}");
        let error = errors.remove(0);
        (error.message, error.hints)
    }

    #[test]
    fn params_come_first_then_attributes_and_tags() {
        let sorted = sort(&["role=app", "service=api,web", "az!=us-west-2a", "version="]).unwrap();
        assert_eq!(sorted.params["service"], "api,web");
        assert_eq!(sorted.params["version"], "");
        let terms: Vec<String> = sorted.terms.iter().map(Term::to_string).collect();
        assert_eq!(terms, ["role=app", "az!=us-west-2a"]);
    }

    #[test]
    fn all_is_a_selector() {
        assert_eq!(sort(&["all"]).unwrap().terms, [Term::All]);
    }

    #[test]
    fn a_mistyped_key_proposes_the_nearest_of_all_kinds() {
        for (word, proposal) in [
            ("rol=app", "did you mean `Role=app`?"),
            ("servce=api", "did you mean `service=api`?"),
            ("env2!=prod", "did you mean `env!=prod`?"),
            ("nmae=app-*", "did you mean `name=app-*`?"),
        ] {
            assert_eq!(refused(word).1[0], proposal);
        }
        let (message, hints) = refused("zzz=1");
        assert_eq!(
            message,
            "`zzz` is neither a param of the task nor a tag that any host bears"
        );
        assert_eq!(
            hints,
            ["params: service, version, role_arn", "tags: env, Role"]
        );
    }

    #[test]
    fn a_param_with_a_selectors_operator_is_no_param() {
        let (message, hints) = refused("service!=api");
        assert_eq!(
            message,
            "`service!=api` is a selector, but no host bears the tag `service`"
        );
        assert_eq!(hints, ["to set the param, write `service=VALUE`"]);
    }

    #[test]
    fn a_bare_host_name_is_sent_to_the_flag() {
        assert_eq!(refused("app-1").1, ["it is a host: `-H app-1`"]);
        assert_eq!(refused("app1").1, ["did you mean the host `-H app-1`?"]);
        assert_eq!(refused("service").1, ["it is a param: `service=VALUE`"]);
    }

    #[test]
    fn set_and_select_say_what_a_word_is() {
        let typed = TypedWords {
            set: vec!["env=staging".to_owned()],
            select: vec!["env=prod".to_owned()],
            ..TypedWords::default()
        };
        let sorted = sort_typed(&typed, &["env"]).unwrap();
        assert_eq!(sorted.params["env"], "staging");
        assert_eq!(sorted.terms[0].to_string(), "env=prod");
        let wrong = TypedWords {
            set: vec!["sevice=x".to_owned(), "alone".to_owned()],
            select: vec!["rle=x".to_owned()],
            ..TypedWords::default()
        };
        let errors = sort_typed(&wrong, &PARAMS).unwrap_err();
        let hints: Vec<&str> = errors.iter().map(|error| error.hints[0].as_str()).collect();
        assert_eq!(
            hints,
            [
                "did you mean `--set service=x`?",
                "write `--set KEY=VALUE`",
                "did you mean `Role=x`?"
            ]
        );
    }

    #[test]
    fn every_wrong_word_is_listed() {
        let errors = sort(&["rol=app", "service=a", "service=b", "role="]).unwrap_err();
        let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "`rol` is neither a param of the task nor a tag that any host bears",
                "param `service` is given twice",
                "`role=` is not a selector: an empty value",
            ]
        );
    }

    #[test]
    fn asking_for_the_state_is_seen_without_an_inventory() {
        let typed = |word: &str| TypedWords {
            words: vec![word.to_owned()],
            ..TypedWords::default()
        };
        assert!(ask_for_state(&typed("state!=running")));
        assert!(!ask_for_state(&typed("role=state=x")));
    }
}
