//! ssh's words, line by line. What they mean is `ssh_error`'s.

/// What ssh said on stderr, read by its lines that say something.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl<'a> Text<'a> {
    /// The lines, without debugging and warnings that are none.
    pub(super) fn lines(self) -> impl Iterator<Item = &'a str> {
        self.0.lines().map(str::trim).filter(|line| {
            !line.is_empty()
                && !line.starts_with("debug1: ")
                && !line.starts_with("Warning: Permanently added")
                && !line.starts_with("** WARNING: connection is not using a post-quantum")
        })
    }

    /// Whether a line holds the part.
    pub(super) fn has(self, part: &str) -> bool {
        self.lines().any(|line| line.contains(part))
    }

    /// The first line that holds the part.
    pub(super) fn line(self, part: &str) -> Option<&'a str> {
        self.lines().find(|line| line.contains(part))
    }

    /// The port that ssh names. Behind a ProxyCommand it knows none and says 65535.
    pub(super) fn port(self) -> Option<u16> {
        let line = self.line(" port ")?;
        let digits = line.split_once(" port ")?.1;
        let end = digits.find(|c: char| !c.is_ascii_digit());
        let port = digits[..end.unwrap_or(digits.len())].parse().ok()?;
        (port != u16::MAX).then_some(port)
    }

    /// Whether a ProxyCommand carried the connection.
    pub(super) fn through_a_command(self) -> bool {
        self.has("UNKNOWN port 65535")
    }
}

/// The text between two others.
pub(super) fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    Some(rest.split_once(after)?.0)
}
