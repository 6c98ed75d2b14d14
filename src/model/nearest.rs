//! The nearest of several known words to one that was mistyped, for "did you mean" hints.

/// The candidate nearest to `word`, if it is near enough to be what was meant.
///
/// Case and the difference between `-` and `_` count for nothing; beyond that about one slip in three
/// characters is forgiven. Of equally near candidates the first wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    let allowed = (folded.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|((weighed, _), _)| *weighed <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

/// Slips between two words, as they weigh and as they are: a word that was cut short or carries an ending
/// (`str`, `integer`) weighs as one slip.
fn distance(word: &str, candidate: &str) -> (usize, usize) {
    let slips = strsim::osa_distance(word, candidate);
    let (short, long) = if word.len() < candidate.len() {
        (word, candidate)
    } else {
        (candidate, word)
    };
    if short.len() >= 3 && long.starts_with(short) {
        (slips.min(1), slips)
    } else {
        (slips, slips)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strangers_none() {
        let keys = ["max_failures", "batch", "confirm", "by", "timeout"];
        for (word, expected) in [
            ("max_failure", Some("max_failures")),
            ("max-failures", Some("max_failures")),
            ("bacth", Some("batch")),
            ("Timeout", Some("timeout")),
            ("conf", Some("confirm")),
            ("time", Some("timeout")),
            ("az", None),
            ("retries", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }

    #[test]
    fn the_nearest_of_several_wins() {
        assert_eq!(nearest("wbe", ["db", "web", "worker"]), Some("web"));
        assert_eq!(nearest("rol", ["roles", "role"]), Some("role"));
    }
}
