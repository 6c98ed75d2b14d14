//! Counts with grammar, and lists that end in "and": the small words of every text.

/// `1 host`, `2 hosts`, `0 files`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {}", plural(noun))
    }
}

/// The plural of the nouns that are used here.
fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if noun.ends_with("ch") || noun.ends_with('s') => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// What summaries call an outcome: `succeeded`, `not started`, `timed out`.
pub(crate) fn outcome_words(word: &str) -> &str {
    match word {
        "ok" => "succeeded",
        "timed_out" => "timed out",
        "not_run" => "not started",
        "unknown" => "lost, outcome not known",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_grammar() {
        assert_eq!(
            [
                counted(0, "file"),
                counted(1, "host"),
                counted(2, "host"),
                counted(3, "batch"),
                counted(2, "retry"),
                counted(2, "day")
            ],
            [
                "0 files",
                "1 host",
                "2 hosts",
                "3 batches",
                "2 retries",
                "2 days"
            ]
        );
    }
}
