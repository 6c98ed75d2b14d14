//! The tree that YAML text is parsed into. No decoding: that is `decode`'s and `fields`' job.

use crate::model::SourceSpan;

/// A value and where it stands. An alias's copy stands where its anchor does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands; may reach over several lines (see [`Node::head`]).
    pub span: SourceSpan,
    /// What it is.
    pub kind: NodeKind,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// Nothing, `~` or `null`.
    Null,
    /// A text, number or boolean: told apart only by who reads it.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A map in the order of the file; keys that are scalars are unique.
    Mapping(Vec<(Node, Node)>),
}

/// A scalar's text, unescaped, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A block after `|` or `>`.
    Block,
}

impl Node {
    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, NodeKind::Null)
    }

    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The scalar's text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        self.as_scalar().map(|scalar| scalar.text.as_str())
    }

    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            NodeKind::Mapping(pairs) => pairs
                .iter()
                .find(|(name, _)| name.as_text() == Some(key))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// What it is, for people: "a list".
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Scalar(_) => "a text",
            NodeKind::Sequence(_) => "a list",
            NodeKind::Mapping(_) => "a map",
        }
    }

    /// The part of the span on its first line, for a caret.
    pub fn head(&self) -> SourceSpan {
        let range = &self.span.range;
        let text = &self.span.source.text[range.clone()];
        let line = text.split('\n').next().unwrap_or_default().trim_end();
        SourceSpan::new(&self.span.source, range.start..range.start + line.len())
    }

    /// The text as written in the file.
    pub fn written(&self) -> &str {
        &self.span.source.text[self.span.range.clone()]
    }
}
