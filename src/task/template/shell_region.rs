//! Finds values that a shell text puts where quoting them would not hold: inside quotes, comments, here
//! documents and the like. A value is always quoted, and quotes inside quotes execute what they should hide.
//!
//! The law behind the check: the text between two tags starts and ends outside of every quoted region, so
//! that no path through `{% if %}` can put a value into one. What cannot be told for certain is refused.
//! Reads POSIX shell and bash; executes nothing.

use std::ops::Range;

use super::tag::Piece;

/// A region of shell text in which a quoted value would not be one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// `'…'`.
    SingleQuotes,
    /// `"…"`.
    DoubleQuotes,
    /// `` `…` ``.
    Backticks,
    /// `${…}`.
    Expansion,
    /// `$((…))` or `((…))`.
    Arithmetic,
    /// `# …`.
    Comment,
    /// `<<EOF … EOF`, or the rest of the line after `<<EOF`.
    HereDocument,
    /// Directly after a backslash or a `$`, which would change what the quote means.
    Escape,
    /// Shell text whose regions cannot be told for certain.
    Uncertain,
}

impl Region {
    /// The region in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::SingleQuotes => "inside single quotes",
            Self::DoubleQuotes => "inside double quotes",
            Self::Backticks => "inside backticks",
            Self::Expansion => "inside `${…}`",
            Self::Arithmetic => "inside arithmetic",
            Self::Comment => "inside a comment",
            Self::HereDocument => "inside a here document",
            Self::Escape => "directly after `\\` or `$`",
            Self::Uncertain => "where the shell's quoting cannot be told for certain",
        }
    }
}

/// The tags of a shell text that stand in a quoted region, with the region. A text without values is fine
/// whatever its blocks do.
pub(super) fn quoted_tags(source: &str, pieces: &[Piece]) -> Vec<(Range<usize>, Region)> {
    let holds_values = pieces.iter().any(|piece| matches!(piece, Piece::Value(_)));
    let mut scan = Scan::default();
    let mut found = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(range) => {
                let mut text = &source[range.clone()];
                let tag_at = |at: Option<usize>| pieces.get(at?)?.tag();
                if tag_at(index.checked_sub(1)).is_some_and(|tag| tag.trims_after) {
                    text = text.trim_start();
                }
                if tag_at(Some(index + 1)).is_some_and(|tag| tag.trims_before) {
                    text = text.trim_end();
                }
                scan.literal(text.as_bytes());
            }
            Piece::Value(tag) | Piece::Block(tag) => {
                if let (true, Some(region)) = (holds_values, scan.region()) {
                    found.push((tag.whole.clone(), region));
                }
                scan.tag(matches!(piece, Piece::Block(_)));
            }
            Piece::Comment(_) => scan.tag(true),
        }
    }
    found
}

/// What the scan is inside of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Inside {
    Single,
    Double,
    /// `$'…'`: whether a backslash occurred, after which shells disagree where it ends.
    Ansi,
    Backtick,
    Brace,
    /// Open parentheses.
    Arithmetic(usize),
    Comment,
    /// `$(…)` or `(…)`: unquoted again.
    Parens,
    /// The delimiter, and whether leading tabs are stripped.
    HereDocument(String, bool),
}

/// The state of the scan, carried over tags.
#[derive(Debug, Default)]
struct Scan {
    stack: Vec<Inside>,
    pending: Vec<(String, bool)>,
    last: Option<u8>,
    after_tag: bool,
    escape: bool,
    uncertain: bool,
}

impl Scan {
    /// The region that a tag at this place would stand in.
    fn region(&self) -> Option<Region> {
        if self.uncertain {
            return Some(Region::Uncertain);
        }
        let quoted = self.stack.iter().rev().find_map(|inside| match inside {
            Inside::Single | Inside::Ansi => Some(Region::SingleQuotes),
            Inside::Double => Some(Region::DoubleQuotes),
            Inside::Backtick => Some(Region::Backticks),
            Inside::Brace => Some(Region::Expansion),
            Inside::Arithmetic(_) => Some(Region::Arithmetic),
            Inside::Comment => Some(Region::Comment),
            Inside::HereDocument(..) => Some(Region::HereDocument),
            Inside::Parens => None,
        });
        quoted
            .or((!self.pending.is_empty()).then_some(Region::HereDocument))
            .or(self.escape.then_some(Region::Escape))
    }

    /// A tag passed: what follows is no start of a word.
    fn tag(&mut self, block: bool) {
        self.after_tag = true;
        self.escape = false;
        if !block {
            self.last = Some(b'x');
        }
    }

    fn literal(&mut self, text: &[u8]) {
        if std::mem::take(&mut self.after_tag) {
            let first = text.first().copied();
            let joined = matches!(first, Some(b'(' | b'<')) && first == self.last;
            self.uncertain |= joined || first == Some(b'#');
        }
        let mut at = 0;
        while at < text.len() {
            let step = match self.stack.last() {
                None | Some(Inside::Parens) => self.unquoted(&text[at..]),
                Some(Inside::Double) => self.double(&text[at..]),
                Some(Inside::Brace) => self.brace(&text[at..]),
                Some(Inside::HereDocument(..)) => self.here_document(&text[at..]),
                Some(_) => self.simple(&text[at..]),
            };
            self.last = text.get(at + step - 1).copied();
            at += step;
        }
    }

    /// Outside of quotes; returns the bytes consumed, as all of these do.
    fn unquoted(&mut self, text: &[u8]) -> usize {
        let starts_word = self.last.is_none_or(|byte| b" \t\n;|&()".contains(&byte));
        match text[0] {
            b'\\' => self.escaped(text),
            b'$' => self.dollar(text),
            b'\'' => self.push(Inside::Single, 1),
            b'"' => self.push(Inside::Double, 1),
            b'`' => self.push(Inside::Backtick, 1),
            b'#' if starts_word => self.push(Inside::Comment, 1),
            b'(' if text.starts_with(b"((") => self.push(Inside::Arithmetic(2), 2),
            b'(' => self.push(Inside::Parens, 1),
            b')' => {
                self.stack.pop();
                1
            }
            b'<' if text.starts_with(b"<<<") => 3,
            b'<' if text.starts_with(b"<<") => self.here_document_start(text),
            b'\n' => self.newline(),
            b'c' if starts_word && text.starts_with(b"case") && self.is_within_double() => {
                // `case x in a)` closes no parenthesis: the end of this `$(…)` cannot be found.
                self.uncertain = true;
                1
            }
            _ => 1,
        }
    }

    fn double(&mut self, text: &[u8]) -> usize {
        match text[0] {
            b'\\' => self.escaped(text),
            b'"' => self.pop(),
            b'`' => self.push(Inside::Backtick, 1),
            b'$' if matches!(text.get(1), Some(b'\'' | b'"')) => 1,
            b'$' => self.dollar(text),
            _ => 1,
        }
    }

    fn brace(&mut self, text: &[u8]) -> usize {
        match text[0] {
            b'\\' => self.escaped(text),
            b'}' => self.pop(),
            b'"' => self.push(Inside::Double, 1),
            b'\'' => {
                self.uncertain |= self.is_within_double();
                self.push(Inside::Single, 1)
            }
            b'`' => self.push(Inside::Backtick, 1),
            b'$' => self.dollar(text),
            _ => 1,
        }
    }

    /// Regions whose end is found without looking at what is inside.
    fn simple(&mut self, text: &[u8]) -> usize {
        let byte = text[0];
        match self.stack.last_mut() {
            Some(Inside::Single | Inside::Ansi) if byte == b'\'' => self.pop(),
            Some(Inside::Ansi) => {
                self.uncertain |= byte == b'\\';
                1
            }
            Some(Inside::Backtick) if byte == b'`' => self.pop(),
            Some(Inside::Backtick) if byte == b'\\' => self.escaped(text),
            Some(Inside::Comment) if byte == b'\n' => {
                self.stack.pop();
                self.newline()
            }
            Some(Inside::Arithmetic(open)) => {
                match byte {
                    b'(' => *open += 1,
                    b')' => *open -= 1,
                    _ => {}
                }
                let done = *open == 0;
                self.uncertain |= b"'\"`\\".contains(&byte);
                if done { self.pop() } else { 1 }
            }
            _ => 1,
        }
    }

    fn dollar(&mut self, text: &[u8]) -> usize {
        match text.get(1) {
            None => {
                self.escape = true;
                1
            }
            Some(b'(') if text.starts_with(b"$((") => self.push(Inside::Arithmetic(2), 3),
            Some(b'(') => self.push(Inside::Parens, 2),
            Some(b'{') => self.push(Inside::Brace, 2),
            Some(b'\'') => self.push(Inside::Ansi, 2),
            Some(b'"') => 1,
            Some(_) => 2,
        }
    }

    fn escaped(&mut self, text: &[u8]) -> usize {
        self.escape = text.len() == 1;
        text.len().min(2)
    }

    fn newline(&mut self) -> usize {
        for (delimiter, strip) in self.pending.drain(..).rev() {
            self.stack.push(Inside::HereDocument(delimiter, strip));
        }
        1
    }

    /// `<<` and its delimiter, the quotes around it dropped.
    fn here_document_start(&mut self, text: &[u8]) -> usize {
        let strip = text.get(2) == Some(&b'-');
        let start = 2 + usize::from(strip);
        let blanks = text[start..]
            .iter()
            .take_while(|byte| b" \t".contains(byte))
            .count();
        let word = text[start + blanks..]
            .iter()
            .take_while(|byte| !b" \t\n;|&()<>".contains(byte))
            .count();
        let end = start + blanks + word;
        self.uncertain |= word == 0 || end == text.len();
        let delimiter = text[start + blanks..end]
            .iter()
            .filter(|byte| !b"'\"\\".contains(byte))
            .map(|&byte| char::from(byte))
            .collect();
        self.pending.push((delimiter, strip));
        end
    }

    /// One line of a here document.
    fn here_document(&mut self, text: &[u8]) -> usize {
        let line_end = text.iter().position(|&byte| byte == b'\n');
        let line = &text[..line_end.unwrap_or(text.len())];
        let Some(Inside::HereDocument(delimiter, strip)) = self.stack.last() else {
            return 1;
        };
        let tabs = if *strip {
            line.iter().take_while(|&&byte| byte == b'\t').count()
        } else {
            0
        };
        if &line[tabs..] == delimiter.as_bytes() {
            self.stack.pop();
        }
        line_end.map_or(text.len(), |end| end + 1)
    }

    fn is_within_double(&self) -> bool {
        self.stack.contains(&Inside::Double)
    }

    fn push(&mut self, inside: Inside, consumed: usize) -> usize {
        self.stack.push(inside);
        consumed
    }

    fn pop(&mut self) -> usize {
        self.stack.pop();
        1
    }
}

#[cfg(test)]
mod tests {
    use super::super::tag::pieces;
    use super::*;

    fn regions(source: &str) -> Vec<Region> {
        quoted_tags(source, &pieces(source))
            .into_iter()
            .map(|(_, region)| region)
            .collect()
    }

    #[test]
    fn values_outside_of_quotes_are_fine() {
        let texts = [
            "echo {{ x }}",
            "echo {{ x }}/next && mv -T {{ x }}/next a'b c'{{ y }}",
            "x=$(cat {{ f }} | grep -c 'a \"b') ; echo \"$x\" {{ y }}",
            "curl \"$URL/_cat?h=ip\" | grep -qxF {{ host.private_ip }}",
            "# it's a comment\necho {{ x }} $# $$ \\\\{{ y }}",
            "cat <<EOF > {% raw %}a{% endraw %}/x\nit's \"text\nEOF\n",
            "cat <<-'EOF' > f\n\tit's $(x)\n\tEOF\necho {{ x }}",
            "echo $((1 + 2)) \"${x:-a}\" {{ x }}",
            "{% for f in files %}rm {{ f }}; {% endfor %}echo 'done'",
            "echo \"$(date \"+%s\")\" {{ x }} 2>&1 <<< a",
            "echo a#b'c' {{ x }} #d",
        ];
        for text in texts {
            assert_eq!(regions(text), [], "{text}");
        }
    }

    #[test]
    fn values_in_quoted_regions_are_found() {
        use Region::{
            Arithmetic, Backticks, Comment, DoubleQuotes, Escape, Expansion, HereDocument,
            SingleQuotes, Uncertain,
        };
        let cases = [
            ("echo \"{{ x }}\"", DoubleQuotes),
            ("echo '{{ x }}'", SingleQuotes),
            ("echo `cat {{ x }}`", Backticks),
            ("echo ${y:-{{ x }}}", Expansion),
            ("echo $(( {{ x }} + 1 ))", Arithmetic),
            ("(( {{ x }} ))", Arithmetic),
            ("true # {{ x }}", Comment),
            ("cat <<EOF\n{{ x }}\nEOF", HereDocument),
            ("cat <<'EOF'\n{{ x }}\nEOF", HereDocument),
            ("cat <<EOF {{ x }}\nEOF", HereDocument),
            ("echo \\{{ x }}", Escape),
            ("echo ${{ x }}", Escape),
            ("echo \"$(cat {{ x }})\"", DoubleQuotes),
            ("echo \"$(case $x in a) echo b;; esac)\" {{ x }}", Uncertain),
            ("echo $'it\\'s' {{ x }}", Uncertain),
            ("echo a {% if y %}b{% endif %}# {{ x }}", Uncertain),
            ("cat <<{{ x }}\n", Uncertain),
            ("true # note\n{{- x }}", Comment),
            ("true # note {# c -#}\n{{ x }}", Comment),
        ];
        for (text, region) in cases {
            assert_eq!(regions(text).last(), Some(&region), "{text}");
        }
    }

    #[test]
    fn a_block_inside_quotes_is_refused_where_values_are() {
        let text = "{% if a %}\"{% else %}\"{% endif %}{{ x }}";
        assert_eq!(regions(text), [Region::DoubleQuotes]);
        assert_eq!(regions("echo \"{% if a %}x{% endif %}\""), []);
    }
}
