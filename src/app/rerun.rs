//! The command line that does the same again, for the summary's last line. Hosts are put in by the summary.

use std::time::Duration;

use crate::cli::{Bound, QuorumFlag, StrategyFlags};
use crate::model::Amount;
use crate::task::Task;

use super::settings::Settings;

/// `fab-rs`, the flags that say where hosts and tasks come from and how far a run may go, `words`, and behind `--`
/// the `tail`. `None` where a word cannot be quoted.
pub(super) fn command<W: AsRef<str>>(
    settings: &Settings,
    words: &[W],
    tail: &[String],
) -> Option<String> {
    let mut line = vec!["fab-rs".to_owned()];
    let selection = &settings.selection;
    let flag = |name: &str, value: Option<String>| value.map(|value| [name.to_owned(), value]);
    let path = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    let run = &settings.run;
    let flags = [
        flag("-I", selection.inventory.clone()),
        flag("-f", settings.run.file.as_ref().map(path)),
        flag("-u", settings.ssh.flags.user.clone()),
        flag("-i", settings.ssh.flags.identity.as_ref().map(path)),
        flag("-J", settings.ssh.flags.jump.clone()),
        flag("--profile", selection.profile.clone()),
        flag("--params-file", run.params_file.as_ref().map(path)),
        flag("--outdir", settings.output.outdir.as_ref().map(path)),
        flag("-z", run.fanout.map(|fanout| fanout.to_string())),
    ];
    line.extend(flags.into_iter().flatten().flatten());
    line.extend(rollout(&run.strategy));
    let flags = [
        flag("-T", run.command_timeout.map(typed)),
        flag("--silence", run.silence.map(typed)),
        flag("--run-limit", run.run_limit.map(typed)),
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
        ("--sudo", run.sudo),
        ("-k", run.fail_fast),
        ("-w", run.warn_only),
    ];
    line.extend(
        switches
            .iter()
            .filter(|(_, on)| *on)
            .map(|(name, _)| (*name).to_owned()),
    );
    line.extend(words.iter().map(|word| word.as_ref().to_owned()));
    if !tail.is_empty() {
        line.push("--".to_owned());
        line.extend_from_slice(tail);
    }
    let quoted: Option<Vec<String>> = line.iter().map(|word| shell_word(word)).collect();
    Some(quoted?.join(" "))
}

/// A word as a shell reads it back: bare where no character of it means anything to one.
fn shell_word(word: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._,@:/+=%-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return Some(word.to_owned());
    }
    shlex::try_quote(word)
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// What was typed over the task's strategy. A kept plan is not named again: its hosts have changed by then.
fn rollout(flags: &StrategyFlags) -> Vec<String> {
    let amount = |amount: &Option<Amount>| amount.map(|amount| amount.to_string());
    let list = |words: Vec<String>| (!words.is_empty()).then(|| words.join(","));
    let sizes = flags.batch.iter().flat_map(|sizes| &sizes.0);
    let quorum = flags.quorum.map(|quorum| match quorum {
        QuorumFlag::Off => "off".to_owned(),
        QuorumFlag::AtOnce(at_once) => at_once.to_string(),
    });
    let values = [
        ("--by", word(flags.by.as_ref())),
        ("--batch", list(sizes.map(ToString::to_string).collect())),
        ("--canary", amount(&flags.canary)),
        ("--max-unavailable", amount(&flags.max_unavailable)),
        ("--min-healthy", amount(&flags.min_healthy)),
        (
            "--min-healthy-per-zone",
            amount(&flags.min_healthy_per_zone),
        ),
        (
            "--single-host-zones",
            word(flags.single_host_zones.as_ref()),
        ),
        ("--max-failures", amount(&flags.max_failures)),
        (
            "--max-failures-per-zone",
            amount(&flags.max_failures_per_zone),
        ),
        (
            "--max-failures-per-batch",
            amount(&flags.max_failures_per_batch),
        ),
        ("--unreachable", word(flags.unreachable.as_ref())),
        ("--mode", word(flags.mode.as_ref())),
        ("--zone-order", list(flags.zone_order.clone())),
        ("--order", word(flags.order.as_ref())),
        ("--quorum", quorum),
    ];
    let values = values.into_iter();
    let values = values.filter_map(|(name, value)| Some([name.to_owned(), value?]));
    let switches = [
        ("--force", flags.force),
        ("--allow-quorum-loss", flags.allow_quorum_loss),
    ];
    let switches = switches.into_iter().filter(|(_, on)| *on);
    values
        .flatten()
        .chain(pauses(flags))
        .chain(switches.map(|(name, _)| name.to_owned()))
        .collect()
}

/// What was typed about waiting and asking.
fn pauses(flags: &StrategyFlags) -> impl Iterator<Item = String> {
    let pause = |pause: Option<Duration>| pause.map(span);
    let gates: Vec<String> = flags
        .confirm
        .iter()
        .filter_map(|gate| word(Some(gate)))
        .collect();
    let values = [
        ("--bake", pause(flags.bake)),
        ("--canary-bake", pause(flags.canary_bake)),
        ("--zone-bake", pause(flags.zone_bake)),
        ("--first-zone-bake", pause(flags.first_zone_bake)),
        ("--final-bake", pause(flags.final_bake)),
        ("--health-wait", pause(flags.health_wait)),
        ("--confirm", (!gates.is_empty()).then(|| gates.join(","))),
        ("--confirm-timeout", pause(flags.confirm_timeout)),
        ("--on-stop", word(flags.on_stop.as_ref())),
        ("--host-timeout", pause(flags.host_timeout)),
    ];
    let values = values.into_iter();
    values
        .filter_map(|(name, value)| Some([name.to_owned(), value?]))
        .flatten()
}

/// The word of a flag that takes one of several.
fn word<T: clap::ValueEnum>(value: Option<&T>) -> Option<String> {
    let value = value?.to_possible_value()?;
    Some(value.get_name().to_owned())
}

/// A limit as a flag takes it.
fn typed(bound: Bound) -> String {
    bound.limit().map_or_else(|| "none".to_owned(), span)
}

/// A duration as a flag takes it.
fn span(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// A task's name and the params among the words and of `--set`; secrets are left out, to be given again.
pub(super) fn task_words(
    task: &Task,
    name: &str,
    words: &[String],
    set: &[(String, String)],
) -> Vec<String> {
    let is_open = |key: &str| task.params.get(key).is_some_and(|param| !param.secret);
    let typed = words
        .iter()
        .filter(|word| word.split_once('=').is_some_and(|(key, _)| is_open(key)));
    let set = set
        .iter()
        .filter(|(key, _)| is_open(key))
        .flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
    std::iter::once(name.to_owned())
        .chain(typed.cloned())
        .chain(set)
        .collect()
}

/// As [`task_words`], with what selects the hosts, but not with what narrows them: the population of the run,
/// on which sizes and minimums are counted. `None` where hosts came from stdin.
pub(super) fn population_words(
    settings: &Settings,
    task: &Task,
    name: &str,
    words: &[String],
) -> Option<Vec<String>> {
    let selection = &settings.selection;
    if selection.hosts.iter().any(|host| host == "-") {
        return None;
    }
    let is_selector = |word: &&String| {
        let key = word.split(['=', '!', '~']).next().unwrap_or_default();
        !task.params.contains_key(key)
    };
    let mut line = task_words(task, name, words, &settings.run.set);
    line.extend(words.iter().filter(is_selector).cloned());
    if !selection.hosts.is_empty() {
        line.extend(["-H".to_owned(), selection.hosts.join(",")]);
    }
    let flags = [("-R", &selection.role), ("--select", &selection.select)];
    for (flag, values) in flags {
        line.extend(
            values
                .iter()
                .flat_map(|value| [flag.to_owned(), value.clone()]),
        );
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::app::environment::Environment;
    use crate::cli;
    use crate::model::Source;
    use crate::task::{NoFiles, read};

    fn settings(folder: &Path, line: &str) -> Settings {
        let args = line.split_whitespace().map(Into::into).collect();
        let environment = Environment {
            cwd: folder.to_owned(),
            state_dir: folder.to_owned(),
            config_dir: folder.to_owned(),
            user: "me".to_owned(),
            no_color: true,
            overrides: Vec::new(),
            stdin_terminal: false,
            stderr_terminal: false,
        };
        let typed = cli::parse(args).expect("a command line");
        Settings::new(environment, &typed.cli).expect("settings")
    }

    #[test]
    fn what_held_the_run_back_holds_the_next_one_back_too() {
        let folder = tempfile::tempdir().unwrap();
        let flags = "-z 4 --by az --batch 1,2,50% --canary 1 --max-failures 10% --confirm start,zone --bake 1m --force -T 90s --silence 1500ms --run-limit none -k";
        let line = format!("fab-rs {flags} --outdir out run role=app -- true");
        let again = command(
            &settings(folder.path(), &line),
            &["run"],
            &["true".to_owned()],
        );
        assert_eq!(
            again.as_deref(),
            Some(
                "fab-rs --outdir out -z 4 --by az --batch 1,2,50% --canary 1 --max-failures 10% --bake 60s --confirm start,zone --force -T 90s --silence 1500ms --run-limit none -k run -- true"
            )
        );
    }

    #[test]
    fn params_are_given_again_but_for_secrets() {
        let text = "kind: read\nparams: {dir: {type: string}, token: {type: string, secret: true}}\nsteps: [{run: uptime}]\n";
        let source = Arc::new(Source {
            path: "tasks/t.yml".into(),
            text: text.to_owned(),
        });
        let task = read(&source, None, &NoFiles).expect("a task");
        let words = ["role=app", "dir=/a", "token=x"].map(str::to_owned);
        let set = [("dir", "/b"), ("token", "y"), ("other", "z")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            task_words(&task, "t", &words, &set),
            ["t", "dir=/a", "--set", "dir=/b"]
        );
    }

    #[test]
    fn the_population_is_named_again_and_what_narrowed_it_is_not() {
        let text = "kind: read\nparams: {role: {type: string}, token: {type: string, secret: true}}\nsteps: [{run: uptime}]\n";
        let source = Arc::new(Source {
            path: "tasks/t.yml".into(),
            text: text.to_owned(),
        });
        let task = read(&source, None, &NoFiles).expect("a task");
        let folder = tempfile::tempdir().unwrap();
        let again = |flags: &str| {
            let line = format!("fab-rs {flags} t");
            let words = ["env!=dev", "role=x", "token=y"].map(str::to_owned);
            population_words(&settings(folder.path(), &line), &task, "t", &words)
        };
        assert_eq!(
            again("-H a,b -R app --select role=api -x c --limit 1").as_deref(),
            Some(
                &[
                    "t", "role=x", "env!=dev", "-H", "a,b", "-R", "app", "--select", "role=api"
                ]
                .map(str::to_owned)[..]
            )
        );
        assert_eq!(again("-H -"), None);
    }
}
