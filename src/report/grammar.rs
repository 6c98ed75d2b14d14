//! Counts with grammar, and lists that end in "and": the small words of every text.

/// `1 host`, `2 hosts`, `0 files`, `12,345 lines`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{} {}", grouped(count), plural(noun))
    }
}

/// `1st`, `2nd`, `3rd`, `11th`.
pub(crate) fn ordinal(number: u32) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// A number with a comma after each three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
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
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_have_their_endings() {
        let all = [1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal);
        assert_eq!(all.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 112th");
    }

    #[test]
    fn counts_have_grammar() {
        assert_eq!(
            [
                counted(0, "file"),
                counted(1, "host"),
                counted(2, "host"),
                counted(3, "batch"),
                counted(2, "retry"),
                counted(2, "day"),
                counted(1_234_567, "line"),
                counted(999, "line"),
            ],
            [
                "0 files",
                "1 host",
                "2 hosts",
                "3 batches",
                "2 retries",
                "2 days",
                "1,234,567 lines",
                "999 lines",
            ]
        );
    }
}
