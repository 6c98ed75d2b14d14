//! Host names folded: `app-a[1-3],app-b1` for four names. Pure; the reverse, where it is needed, is not here.

use std::collections::{HashMap, HashSet};

/// Some names as one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Such as `app-a[1-3,7]`.
    pub text: String,
    /// How many names it stands for.
    pub count: usize,
}

/// One run of digits in a name, and what stands around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Hole<'a> {
    before: &'a str,
    after: &'a str,
}

/// Digits longer than this are no number that a range could hold.
const MAX_DIGITS: usize = 18;

/// All names as one text: `app-a[1-3],app-b1`.
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let folded: Vec<String> = fold_parts(names)
        .into_iter()
        .map(|part| part.text)
        .collect();
    folded.join(",")
}

/// As [`fold`], but no longer than `width` characters: what does not fit is counted, as in
/// `app-a[1-3],app-b1 and 12 more`.
pub fn fold_within<'a>(names: impl IntoIterator<Item = &'a str>, width: usize) -> String {
    let parts = fold_parts(names);
    let total: usize = parts.iter().map(|part| part.count).sum();
    let (mut text, mut shown) = (String::new(), 0);
    for part in &parts {
        let rest = total - shown - part.count;
        let note = if rest > 0 { " and 9999 more".len() } else { 0 };
        if shown > 0 && text.len() + 1 + part.text.len() + note > width {
            return format!("{text} and {} more", total - shown);
        }
        if shown > 0 {
            text.push(',');
        }
        text.push_str(&part.text);
        shown += part.count;
    }
    text
}

/// The folded groups, in the order of their first names (numbers by value). A name given twice counts once.
pub fn fold_parts<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Folded> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by(|left, right| natural(left, right));
    names.dedup();
    let mut sizes: HashMap<Hole<'_>, usize> = HashMap::new();
    let mut padded: HashSet<(Hole<'_>, usize)> = HashSet::new();
    for name in &names {
        for (hole, digits) in holes(name) {
            *sizes.entry(hole).or_default() += 1;
            if digits.len() > 1 && digits.starts_with('0') {
                padded.insert((hole, digits.len()));
            }
        }
    }
    let mut groups: Vec<(Option<Hole<'_>>, Vec<&str>)> = Vec::new();
    let mut places: HashMap<(Hole<'_>, usize), usize> = HashMap::new();
    for name in &names {
        // The hole that most names share; of equals the last, as the number at the end counts hosts.
        let chosen = holes(name).max_by_key(|(hole, _)| sizes[hole]);
        let Some((hole, digits)) = chosen else {
            groups.push((None, vec![name]));
            continue;
        };
        // Numbers with leading zeros fold with numbers of their own width alone: `08`, `09`, `10`.
        let width = padded
            .get(&(hole, digits.len()))
            .map_or(0, |&(_, width)| width);
        let place = *places.entry((hole, width)).or_insert_with(|| {
            groups.push((Some(hole), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(digits);
    }
    groups
        .into_iter()
        .map(|(hole, members)| match hole {
            None => Folded {
                text: members.concat(),
                count: 1,
            },
            Some(hole) => ranges_of(hole, &members),
        })
        .collect()
}

/// Every run of digits of a name that could be a range's number.
fn holes(name: &str) -> impl Iterator<Item = (Hole<'_>, &str)> {
    let bytes = name.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + bytes[at..].iter().position(u8::is_ascii_digit)?;
            let length = bytes[start..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            at = start + length;
            if length <= MAX_DIGITS {
                let hole = Hole {
                    before: &name[..start],
                    after: &name[at..],
                };
                return Some((hole, &name[start..at]));
            }
        }
    })
}

/// One group as text; its members' digits in rising order.
fn ranges_of(hole: Hole<'_>, members: &[&str]) -> Folded {
    let Hole { before, after } = hole;
    let mut runs: Vec<(&str, &str, u64)> = Vec::new();
    for digits in members {
        let number: u64 = digits.parse().unwrap_or(u64::MAX);
        match runs.last_mut() {
            Some((_, last, value)) if *value + 1 == number => (*last, *value) = (digits, number),
            _ => runs.push((digits, digits, number)),
        }
    }
    let texts: Vec<String> = runs
        .iter()
        .map(|(first, last, _)| {
            if first == last {
                (*first).to_owned()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    let text = match (&texts[..], members.len()) {
        ([only], 1) => format!("{before}{only}{after}"),
        _ => format!("{before}[{}]{after}", texts.join(",")),
    };
    Folded {
        text,
        count: members.len(),
    }
}

/// Order with runs of digits compared as numbers: `app-2` before `app-10`.
pub fn natural(left: &str, right: &str) -> std::cmp::Ordering {
    let (mut left_rest, mut right_rest) = (left, right);
    loop {
        let (left_text, left_digits, left_after) = split(left_rest);
        let (right_text, right_digits, right_after) = split(right_rest);
        let order = left_text
            .cmp(right_text)
            .then_with(|| {
                let (a, b) = (
                    left_digits.trim_start_matches('0'),
                    right_digits.trim_start_matches('0'),
                );
                a.len().cmp(&b.len()).then_with(|| a.cmp(b))
            })
            .then_with(|| left_digits.len().cmp(&right_digits.len()));
        if order.is_ne() {
            return order;
        }
        if left_after.is_empty() || right_after.is_empty() {
            return left_after.len().cmp(&right_after.len());
        }
        (left_rest, right_rest) = (left_after, right_after);
    }
}

/// The text before the first digit, the digits, and the rest.
fn split(name: &str) -> (&str, &str, &str) {
    let start = name
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(name.len());
    let end = name[start..]
        .find(|c: char| !c.is_ascii_digit())
        .map_or(name.len(), |length| start + length);
    (&name[..start], &name[start..end], &name[end..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_fold_by_their_numbers() {
        let table: [(&[&str], &str); 11] = [
            (&["app-08", "app-09", "app-10", "app-11"], "app-[08-11]"),
            (&[], ""),
            (&["db"], "db"),
            (&["app-a1"], "app-a1"),
            (
                &["app-b1", "app-a3", "app-a1", "app-a2"],
                "app-a[1-3],app-b1",
            ),
            (&["app-1", "app-3", "app-10"], "app-[1,3,10]"),
            (&["web1", "db1", "web1"], "db1,web1"),
            (&["app-01", "app-02", "app-1"], "app-1,app-[01-02]"),
            (
                &["ip-10-0-1-12.ec2", "ip-10-0-1-13.ec2"],
                "ip-10-0-1-[12-13].ec2",
            ),
            (&["z1-h1", "z1-h2", "z2-h1", "z2-h2"], "z1-h[1-2],z2-h[1-2]"),
            (
                &["app.3f9a", "app.77b0", "x12345678901234567890"],
                "app.3f9a,app.77b0,x12345678901234567890",
            ),
        ];
        for (names, folded) in table {
            assert_eq!(fold(names.iter().copied()), folded, "{names:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let names = ["app-a1", "app-a2", "db", "web-1", "worker"];
        assert_eq!(fold_within(names, 80), "app-a[1-2],db,web-1,worker");
        assert_eq!(fold_within(names, 28), "app-a[1-2],db and 2 more");
        assert_eq!(fold_within(names, 1), "app-a[1-2] and 3 more");
    }

    /// Writes out what [`fold`] made of names without brackets and commas.
    fn unfold(text: &str) -> Vec<String> {
        let mut parts = vec![String::new()];
        let mut inside = false;
        for c in text.chars() {
            match c {
                '[' => inside = true,
                ']' => inside = false,
                ',' if !inside => {
                    parts.push(String::new());
                    continue;
                }
                _ => {}
            }
            parts.last_mut().unwrap().push(c);
        }
        parts
            .iter()
            .flat_map(|part| {
                let Some((before, rest)) = part.split_once('[') else {
                    return vec![part.clone()];
                };
                let (ranges, after) = rest.split_once(']').unwrap();
                ranges
                    .split(',')
                    .flat_map(|range| {
                        let (first, last) = range.split_once('-').unwrap_or((range, range));
                        let width = first.len();
                        (first.parse::<u64>().unwrap()..=last.parse().unwrap())
                            .map(move |n| format!("{before}{n:0width$}{after}"))
                    })
                    .collect()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn folded_names_are_the_names(names in prop::collection::btree_set("[a-c]{0,2}-?[0-9]{1,3}(x[0-9]{1,2})?", 1..30)) {
            let mut back = unfold(&fold(names.iter().map(String::as_str)));
            back.sort();
            prop_assert_eq!(back, names.into_iter().collect::<Vec<_>>());
        }
    }
}
