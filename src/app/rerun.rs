//! The command line that does the same again, for the summary's last line. Hosts are put in by the summary.

use crate::task::Task;

use super::settings::Settings;

/// `fab-rs`, the flags that say where hosts and tasks come from, `words`, and behind `--` the `tail`. `None` where
/// a word cannot be quoted.
pub(super) fn command(settings: &Settings, words: &[&str], tail: &[String]) -> Option<String> {
    let mut line = vec!["fab-rs".to_owned()];
    let selection = &settings.selection;
    let flag = |name: &str, value: Option<String>| value.map(|value| [name.to_owned(), value]);
    let path = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    let flags = [
        flag("-I", selection.inventory.clone()),
        flag("-f", settings.run.file.as_ref().map(path)),
        flag("-u", settings.ssh.flags.user.clone()),
        flag("-i", settings.ssh.flags.identity.as_ref().map(path)),
        flag("-J", settings.ssh.flags.jump.clone()),
        flag("--profile", selection.profile.clone()),
        flag("--params-file", settings.run.params_file.as_ref().map(path)),
    ];
    line.extend(flags.into_iter().flatten().flatten());
    line.extend(
        selection
            .region
            .iter()
            .flat_map(|region| ["--region".to_owned(), region.clone()]),
    );
    let switches = [
        ("--ask-sudo", settings.ask_sudo),
        ("--sudo", settings.run.sudo),
    ];
    line.extend(
        switches
            .iter()
            .filter(|(_, on)| *on)
            .map(|(name, _)| (*name).to_owned()),
    );
    line.extend(settings.run.set.iter().flat_map(|(name, value)| {
        // Secrets are refused there, so there is none to leave out.
        ["--set".to_owned(), format!("{name}={value}")]
    }));
    line.extend(words.iter().map(|word| (*word).to_owned()));
    if !tail.is_empty() {
        line.push("--".to_owned());
        line.extend_from_slice(tail);
    }
    shlex::try_join(line.iter().map(String::as_str)).ok()
}

/// A task's name and the params among the words; secrets are left out, to be given again.
pub(super) fn task_words<'w>(task: &'w Task, name: &'w str, words: &'w [String]) -> Vec<&'w str> {
    let is_param = |word: &&String| {
        let param = word
            .split_once('=')
            .and_then(|(key, _)| task.params.get(key));
        param.is_some_and(|param| !param.secret)
    };
    std::iter::once(name)
        .chain(words.iter().filter(is_param).map(String::as_str))
        .collect()
}
