//! How tag keys are spelled in an inventory: `role` finds `Role`, but never guesses between two.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use crate::model::{Diagnostic, Host};

/// The tag keys that the hosts of an inventory bear, and the aliases its file gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagKeys {
    by_lowercase: BTreeMap<String, BTreeSet<String>>,
    aliases: IndexMap<String, String>,
}

/// A key that is spelled in several ways.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tag `{key}` is spelled in {} ways: {}", spellings.len(), quoted(spellings))]
pub struct SpellingError {
    /// As it was typed.
    pub key: String,
    /// The spellings that hosts bear, sorted.
    pub spellings: Vec<String>,
}

fn quoted(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

impl TagKeys {
    /// The keys of these hosts, with the aliases (`typed → borne`) of the inventory file.
    pub fn new<'h>(
        hosts: impl IntoIterator<Item = &'h Host>,
        aliases: &IndexMap<String, String>,
    ) -> Self {
        let mut by_lowercase: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (key, _) in hosts.into_iter().flat_map(|host| host.tags.iter()) {
            by_lowercase
                .entry(key.to_lowercase())
                .or_default()
                .insert(key.to_owned());
        }
        Self {
            by_lowercase,
            aliases: aliases.clone(),
        }
    }

    /// The key that hosts bear for the key that was typed: its alias, else the same letters in whatever
    /// case; `None` where no host bears it.
    ///
    /// # Errors
    /// Hosts bear more than one spelling and no alias says which is meant.
    pub fn spelling(&self, typed: &str) -> Result<Option<&str>, SpellingError> {
        if let Some(borne) = self.aliases.get(typed) {
            return Ok(Some(borne));
        }
        let Some(spellings) = self.by_lowercase.get(&typed.to_lowercase()) else {
            return Ok(None);
        };
        if spellings.len() > 1 {
            return Err(SpellingError {
                key: typed.to_owned(),
                spellings: spellings.iter().cloned().collect(),
            });
        }
        Ok(spellings.first().map(String::as_str))
    }

    /// Whether some host bears exactly this key.
    pub fn bears(&self, key: &str) -> bool {
        self.by_lowercase
            .get(&key.to_lowercase())
            .is_some_and(|spellings| spellings.contains(key))
    }

    /// Every key that can be typed: the aliases, then what hosts bear, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let borne = self.by_lowercase.values().flatten().map(String::as_str);
        self.aliases.keys().map(String::as_str).chain(borne)
    }
}

impl SpellingError {
    /// The error for people.
    pub fn diagnostic(&self) -> Diagnostic {
        let exact = self.spellings.first().map_or("KEY", String::as_str);
        Diagnostic::new(self.to_string()).hint(format!(
            "name one exactly with `tag:{exact}=…`, or say which is meant in the inventory's `aliases:`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;

    fn keys(of: &[&str], aliases: &[(&str, &str)]) -> TagKeys {
        let hosts: Vec<Host> = of
            .iter()
            .map(|key| Host {
                tags: Tags::from_iter([(*key, "x")]),
                ..Host::named("h", "h")
            })
            .collect();
        let aliases = aliases
            .iter()
            .map(|(typed, borne)| ((*typed).to_owned(), (*borne).to_owned()))
            .collect();
        TagKeys::new(&hosts, &aliases)
    }

    #[test]
    fn a_key_is_found_in_whatever_case_it_is_borne() {
        let keys = keys(&["Role", "env"], &[]);
        assert_eq!(keys.spelling("role"), Ok(Some("Role")));
        assert_eq!(keys.spelling("ENV"), Ok(Some("env")));
        assert_eq!(keys.spelling("rol"), Ok(None));
    }

    #[test]
    fn two_spellings_are_an_error_that_names_them_unless_an_alias_decides() {
        let error = keys(&["Role", "role"], &[]).spelling("role").unwrap_err();
        assert_eq!(
            error.to_string(),
            "tag `role` is spelled in 2 ways: `Role`, `role`"
        );
        assert_eq!(
            keys(&["Role", "role"], &[("role", "Role")]).spelling("role"),
            Ok(Some("Role"))
        );
    }

    #[test]
    fn an_alias_need_not_resemble_its_tag() {
        let keys = keys(&["cmdb:function"], &[("role", "cmdb:function")]);
        assert_eq!(keys.spelling("role"), Ok(Some("cmdb:function")));
        assert_eq!(keys.iter().collect::<Vec<_>>(), ["role", "cmdb:function"]);
    }
}
