//! The flags by which a run's hosts are found and connected to, as a command that is proposed repeats them: what is
//! proposed works as it is pasted. Pure.

use std::fmt;

use super::summary::quoted;

/// What was typed that another command needs to mean the same hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Where they are found and how they are reached: ` -I prod.yml -u deploy`.
    flags: String,
    /// All that count, whichever are touched: ` role=app -x app-9`; empty where the task says which.
    hosts: String,
}

impl Reach {
    /// These flags with their values; flags without one were not typed. No host is selected by them.
    pub fn new<'a>(typed: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let flags = typed.into_iter();
        let flags = flags.filter_map(|(flag, value)| Some((flag, value?)));
        let words = flags.map(|(flag, value)| format!(" {flag} {}", quoted(value)));
        Self {
            flags: words.collect(),
            hosts: String::new(),
        }
    }

    /// With the words and flags that select every host that counts.
    #[must_use]
    pub fn of_hosts<'a>(self, words: impl IntoIterator<Item = &'a str>) -> Self {
        let words: Vec<String> = words.into_iter().map(quoted).collect();
        let hosts = words.iter().flat_map(|word| [" ", word]).collect();
        Self { hosts, ..self }
    }

    /// What selects every host that counts, a space before each word; where the task itself does, this one host.
    pub(crate) fn all_hosts(&self, one: &str) -> String {
        match self.hosts.as_str() {
            "" => format!(" -H {}", quoted(one)),
            hosts => hosts.to_owned(),
        }
    }
}

impl fmt::Display for Reach {
    /// The flags for the user's shell, each with a space before it: they follow the command's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_repeated_for_a_shell() {
        let typed = [
            ("-I", Some("my prod.yml")),
            ("--region", None),
            ("-u", Some("deploy")),
        ];
        let reach = Reach::new(typed);
        assert_eq!(
            format!("fab-rs lock status{reach} -H app-1"),
            "fab-rs lock status -I 'my prod.yml' -u deploy -H app-1"
        );
        assert_eq!(Reach::new([("-I", None)]), Reach::default());
        assert_eq!(reach.all_hosts("app-1"), " -H app-1");
        let reach = reach.of_hosts(["name=app-*", "-x", "app-9"]);
        assert_eq!(reach.all_hosts("app-1"), " 'name=app-*' -x app-9");
    }
}
