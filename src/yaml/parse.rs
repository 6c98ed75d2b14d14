//! From text to [`Node`]s, by saphyr's parser. Duplicate keys, merge keys, tags, alias bombs and bottomless
//! nesting are refused here; what two parsers read differently is refused by `agree`.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::model::{Diagnostic, Source, SourceSpan};

use super::{Node, NodeKind, Scalar, Style, agree, traps};

/// Deeper nesting is no file that a person wrote, and would cost stack.
const MAX_DEPTH: usize = 64;
/// Nodes that aliases may add to a file.
const MAX_ALIASED: usize = 10_000;

/// Parses a file that holds one document; an empty file is [`NodeKind::Null`].
///
/// # Errors
/// Every duplicate key and the like, and the first syntax error; also a second document.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    let mut documents = parse_all(source)?.into_iter();
    let first = documents.next().unwrap_or_else(|| Node {
        span: SourceSpan::new(source, 0..0),
        kind: NodeKind::Null,
    });
    match documents.next() {
        None => Ok(first),
        Some(second) => Err(vec![
            Diagnostic::new("a second document in a file that may hold one").at(&second.head()),
        ]),
    }
}

/// Parses a file of documents that `---` separates.
///
/// # Errors
/// As [`parse`].
pub fn parse_all(source: &Arc<Source>) -> Result<Vec<Node>, Vec<Diagnostic>> {
    let mut builder = Builder::new(source);
    let mut parser = Parser::new_from_str(&source.text);
    while let Some(event) = parser.next_event() {
        let done = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let at = builder.offsets.byte(error.marker().index());
                Err(traps::syntax_error(source, at, error.info()))
            }
        };
        if let Err(stop) = done {
            builder.errors.push(stop);
            return Err(builder.errors);
        }
    }
    if builder.errors.is_empty() {
        agree::check(source, &builder.documents).map_err(|error| vec![error])?;
        Ok(builder.documents)
    } else {
        Err(builder.errors)
    }
}

/// Characters to bytes: saphyr counts characters.
struct Offsets {
    /// The byte of each character; empty where every character is one byte.
    bytes: Vec<usize>,
    end: usize,
}

impl Offsets {
    fn of(text: &str) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(at, _)| at).collect()
        };
        Self {
            bytes,
            end: text.len(),
        }
    }

    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            character.min(self.end)
        } else {
            self.bytes.get(character).copied().unwrap_or(self.end)
        }
    }
}

/// A list or map that is being read.
struct Open {
    start: usize,
    anchor: usize,
    key: Option<Node>,
    kind: NodeKind,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    offsets: Offsets,
    open: Vec<Open>,
    /// Anchored nodes of this document, with the number of nodes in each.
    anchors: HashMap<usize, (Node, usize)>,
    aliased: usize,
    documents: Vec<Node>,
    errors: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>) -> Self {
        Self {
            source,
            offsets: Offsets::of(&source.text),
            open: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
            documents: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn span(&self, span: Span) -> SourceSpan {
        let range = self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index());
        SourceSpan::new(self.source, range)
    }

    /// Takes one event; an error ends the parse.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(_) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let span = self.span(span);
                if let Some(tag) = tag {
                    self.errors.push(traps::tag(&tag.to_string(), &span));
                }
                self.finish(scalar(&text, style, span), anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                let kind = NodeKind::Sequence(Vec::new());
                self.start(kind, anchor, tag.map(|tag| tag.to_string()), span)?;
            }
            Event::MappingStart(anchor, tag) => {
                let kind = NodeKind::Mapping(Vec::new());
                self.start(kind, anchor, tag.map(|tag| tag.to_string()), span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(id) => self.alias(id, span)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn start(
        &mut self,
        kind: NodeKind,
        anchor: usize,
        tag: Option<String>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let place = self.span(span);
        if let Some(tag) = tag {
            self.errors.push(traps::tag(&tag, &place));
        }
        if self.open.len() == MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(Diagnostic::new(message).at(&place));
        }
        self.open.push(Open {
            start: place.range.start,
            anchor,
            key: None,
            kind,
        });
        Ok(())
    }

    fn close(&mut self, span: Span) {
        let Some(open) = self.open.pop() else {
            return;
        };
        let own_end = self.offsets.byte(span.end.index());
        // A block list or map has no end of its own: the parser puts it at the next token.
        let end = if own_end > open.start
            && matches!(
                self.source.text.as_bytes().get(own_end - 1),
                Some(b']' | b'}')
            ) {
            own_end
        } else {
            last_end(&open.kind).unwrap_or(open.start)
        };
        if let NodeKind::Mapping(pairs) = &open.kind {
            self.refuse_duplicates(pairs);
        }
        let node = Node {
            span: SourceSpan::new(self.source, open.start..end.max(open.start)),
            kind: open.kind,
        };
        self.finish(node, open.anchor);
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Diagnostic> {
        let place = self.span(span);
        let Some((node, count)) = self.anchors.get(&id) else {
            let message = "alias to an anchor that is not complete yet";
            return Err(Diagnostic::new(message).at(&place));
        };
        self.aliased += count;
        if self.aliased > MAX_ALIASED {
            let message = format!("aliases grow this file by more than {MAX_ALIASED} values");
            return Err(Diagnostic::new(message).at(&place));
        }
        let node = node.clone();
        self.finish(node, 0);
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), count(&node)));
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        match &mut parent.kind {
            NodeKind::Sequence(items) => items.push(node),
            NodeKind::Mapping(pairs) => match parent.key.take() {
                Some(key) => pairs.push((key, node)),
                None => parent.key = Some(node),
            },
            NodeKind::Null | NodeKind::Scalar(_) => {}
        }
    }

    fn refuse_duplicates(&mut self, pairs: &[(Node, Node)]) {
        let mut seen: HashMap<&str, &Node> = HashMap::new();
        for (key, _) in pairs {
            let Some(scalar) = key.as_scalar() else {
                continue;
            };
            if scalar.text == "<<" && scalar.style == Style::Plain {
                let error = Diagnostic::new("merge keys (`<<`) are not part of the format")
                    .at(&key.span)
                    .hint("write the keys out; an alias (`*name`) may stand for a whole value");
                self.errors.push(error);
            } else if let Some(first) = seen.get(scalar.text.as_str()) {
                let error = Diagnostic::new(format!("duplicate key `{}`", scalar.text))
                    .at(&key.span)
                    .label(format!("first at {}", first.span.place()));
                self.errors.push(error);
            } else {
                seen.insert(&scalar.text, key);
            }
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, span: SourceSpan) -> Node {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    let kind = match (style, text) {
        (Style::Plain, "" | "~" | "null" | "Null" | "NULL") => NodeKind::Null,
        _ => NodeKind::Scalar(Scalar {
            text: text.to_owned(),
            style,
        }),
    };
    Node { span, kind }
}

fn last_end(kind: &NodeKind) -> Option<usize> {
    match kind {
        NodeKind::Sequence(items) => items.iter().map(|item| item.span.range.end).max(),
        NodeKind::Mapping(pairs) => pairs
            .iter()
            .flat_map(|(key, value)| [key.span.range.end, value.span.range.end])
            .max(),
        NodeKind::Null | NodeKind::Scalar(_) => None,
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        NodeKind::Sequence(items) => items.iter().map(count).sum(),
        NodeKind::Mapping(pairs) => pairs
            .iter()
            .map(|(key, value)| count(key) + count(value))
            .sum(),
        NodeKind::Null | NodeKind::Scalar(_) => 0_usize,
    }
}
