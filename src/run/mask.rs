//! Hides secrets in whatever a run shows or keeps: output, causes, notes.
//!
//! A secret is hidden as it is, line by line, and in its base64 forms. What a command makes of it otherwise
//! (encrypted, reversed, hex) cannot be known here. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::model::Secret;

/// What stands where a secret stood.
const STARS: &[u8] = b"***";

/// Shorter texts are not hidden: they would be found everywhere. Secrets have 6 bytes at least, so this
/// only concerns single lines of a secret that has several.
const SHORTEST: usize = 6;

/// The columns at which tools wrap base64: GNU `base64`, and PEM.
const WRAPS: [usize; 2] = [76, 64];

/// The texts to hide. Cheap to ask where there is none.
#[derive(Debug)]
pub(crate) struct Mask {
    /// No needle holds a newline; longest first.
    needles: Vec<Vec<u8>>,
    /// Whether a needle begins with this byte: most bytes begin none.
    begins: [bool; 256],
}

impl Default for Mask {
    fn default() -> Self {
        Self {
            needles: Vec::new(),
            begins: [false; 256],
        }
    }
}

impl Mask {
    /// Hides every form of these secrets.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::default().with(secrets)
    }

    /// Hides these too.
    pub(crate) fn with<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut needles = self.needles.clone();
        for secret in secrets {
            let value = secret.expose();
            add_base64(&mut needles, value.as_bytes());
            for line in value.lines().map(str::trim) {
                needles.push(line.as_bytes().to_vec());
                add_base64(&mut needles, line.as_bytes());
            }
        }
        needles.retain(|needle| needle.len() >= SHORTEST);
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        let mut begins = [false; 256];
        for needle in &needles {
            begins[usize::from(needle[0])] = true;
        }
        Self { needles, begins }
    }

    /// The text without secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        if self.needles.is_empty() {
            return text.to_owned();
        }
        let mut stream = MaskedStream::default();
        let mut out = stream.push(self, text.as_bytes()).to_vec();
        out.extend_from_slice(stream.finish());
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The length of the longest needle at the start of `rest`.
    fn found_at(&self, rest: &[u8]) -> Option<usize> {
        let found = self.needles.iter().find(|needle| rest.starts_with(needle));
        found.map(Vec::len)
    }

    /// Whether more bytes could still make `rest` a needle.
    fn may_become(&self, rest: &[u8]) -> bool {
        self.needles
            .iter()
            .any(|needle| needle.len() > rest.len() && needle.starts_with(rest))
    }
}

/// The base64 forms of `bytes`: alone, wrapped, and inside a longer encoded text, where it can stand at
/// three alignments and the first and last characters depend on its neighbours.
fn add_base64(needles: &mut Vec<Vec<u8>>, bytes: &[u8]) {
    for engine in [&STANDARD, &URL_SAFE] {
        let alone = engine.encode(bytes);
        for wrap in WRAPS {
            needles.extend(alone.as_bytes().chunks(wrap).map(<[u8]>::to_vec));
        }
        for before in 0..3_usize {
            let padded = [&vec![0; before][..], bytes].concat();
            let encoded = engine.encode(&padded);
            let start = (before * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            if start < end {
                needles.push(encoded.as_bytes()[start..end].to_vec());
            }
        }
        needles.push(alone.into_bytes());
    }
}

/// One stream's bytes on their way through a [`Mask`]; holds back what may be the start of a secret.
#[derive(Debug, Default)]
pub(crate) struct MaskedStream {
    held: Vec<u8>,
    out: Vec<u8>,
}

impl MaskedStream {
    /// Takes bytes; returns what can be shown of them and of what was held back.
    pub(crate) fn push<'a>(&'a mut self, mask: &Mask, bytes: &'a [u8]) -> &'a [u8] {
        if mask.needles.is_empty() {
            return bytes;
        }
        self.held.extend_from_slice(bytes);
        self.out.clear();
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            let plain = rest
                .iter()
                .take_while(|byte| !mask.begins[usize::from(**byte)]);
            let plain = plain.count();
            if plain > 0 {
                self.out.extend_from_slice(&rest[..plain]);
                at += plain;
                continue;
            }
            if mask.may_become(rest) {
                break;
            }
            if let Some(length) = mask.found_at(rest) {
                self.out.extend_from_slice(STARS);
                at += length;
            } else {
                self.out.push(rest[0]);
                at += 1;
            }
        }
        self.held.drain(..at);
        &self.out
    }

    /// What was held back, once the stream has ended. A whole secret that is also the start of a longer
    /// one may be among it, so all of it is hidden where it is long enough to matter.
    pub(crate) fn finish(&mut self) -> &[u8] {
        self.out.clear();
        if self.held.len() >= SHORTEST {
            self.out.extend_from_slice(STARS);
        } else {
            self.out.extend_from_slice(&self.held);
        }
        self.held.clear();
        &self.out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(mask: &Mask, chunks: &[&[u8]]) -> Vec<u8> {
        let mut stream = MaskedStream::default();
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(stream.push(mask, chunk));
        }
        out.extend_from_slice(stream.finish());
        out
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_stands() {
        let mask = Mask::new(&[Secret::new("hunter22")]);
        assert_eq!(mask.text("pw=hunter22, hunter2 "), "pw=***, hunter2 ");
        assert_eq!(mask.text("nothing"), "nothing");
    }

    #[test]
    fn a_secret_is_found_across_chunks() {
        let mask = Mask::new(&[Secret::new("hunter22")]);
        assert_eq!(masked(&mask, &[b"a hun", b"ter", b"22 b\n"]), b"a *** b\n");
        assert_eq!(masked(&mask, &[b"a hun", b"t"]), b"a hunt");
    }

    #[test]
    fn each_line_of_a_secret_is_hidden() {
        let mask = Mask::new(&[Secret::new("first line\n}\nsecond line\n")]);
        assert_eq!(mask.text("x second line\n}"), "x ***\n}");
    }

    #[test]
    fn base64_is_hidden_at_every_alignment() {
        let secret = "correct horse battery";
        let mask = Mask::new(&[Secret::new(secret)]);
        for before in ["", "u", "us", "use"] {
            let encoded = STANDARD.encode(format!("{before}{secret} and more"));
            let shown = mask.text(&encoded);
            assert!(shown.contains("***"), "{shown}");
            let middle = &encoded[encoded.len() / 2 - 4..encoded.len() / 2];
            assert!(!shown.contains(middle), "{shown}");
        }
    }

    #[test]
    fn base64_is_hidden_where_it_is_wrapped() {
        let secret = "x1y2z3".repeat(20);
        let mask = Mask::new(&[Secret::new(secret.as_str())]);
        let encoded = STANDARD.encode(&secret);
        let (first, rest) = encoded.split_at(76);
        let shown = mask.text(&format!("{first}\n{rest}\n"));
        assert!(!shown.contains(&first[..20]), "{shown}");
        assert!(!shown.contains(&rest[..20]), "{shown}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn masking_does_not_depend_on_chunking(
            text in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..120),
            cuts in prop::collection::vec(0_usize..120, 0..6),
        ) {
            let mask = Mask::new(&[Secret::new("ababba"), Secret::new("ababbaab"), Secret::new("bbbbbb")]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let out = masked(&mask, &chunks);
            prop_assert_eq!(&out, &masked(&mask, &[&text]));
            prop_assert!(!String::from_utf8(out).unwrap().contains("ababba"));
        }
    }
}
