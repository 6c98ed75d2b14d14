//! `run`, `script` and `local`: commands.

use crate::model::{Diagnostic, nearest};
use crate::task::{Local, Modifiers, RunProgram, Script, Text};
use crate::yaml::{Node, NodeKind};

use super::reader::Reader;
use super::scope::Scope;
use super::step_decl::is_map;
use super::text_value::{For, place};

impl<'a> Reader<'a> {
    /// A text for a shell, or an argv.
    pub(super) fn program(
        &mut self,
        node: &'a Node,
        what: &str,
        modifiers: &Modifiers,
        scope: &Scope,
    ) -> Option<RunProgram> {
        let retried;
        let scope = if modifiers.retry.is_some() {
            retried = scope.with_result(None);
            &retried
        } else {
            scope
        };
        if let NodeKind::Sequence(items) = &node.kind {
            if items.is_empty() {
                self.error(Diagnostic::new(format!("{what} is empty")).at(&node.head()));
                return None;
            }
            let before = self.errors.len();
            let argv: Vec<Text> = items
                .iter()
                .filter_map(|item| self.text(item, &format!("a word of {what}"), scope, For::Plain))
                .collect();
            return (self.errors.len() == before).then_some(RunProgram::Argv(argv));
        }
        if node.as_text().is_some_and(|text| text.trim().is_empty()) {
            self.error(Diagnostic::new(format!("{what} is empty")).at(&node.head()));
            return None;
        }
        self.text(node, what, scope, For::Shell)
            .map(RunProgram::Shell)
    }

    /// `local`.
    pub(super) fn local(
        &mut self,
        node: &'a Node,
        modifiers: &Modifiers,
        scope: &Scope,
    ) -> Option<Local> {
        let program = self.program(node, "`local`", modifiers, scope)?;
        Some(Local { program })
    }

    /// `script`: a path, or `{src, args, interpreter}`.
    pub(super) fn script(&mut self, node: &'a Node, scope: &Scope) -> Option<Script> {
        let (source, args, interpreter) = if is_map(node) {
            let known = ["src", "args", "interpreter"];
            let fields = node.expect_mapping("`script`", &known, &mut self.errors)?;
            let interpreter = fields.strings("interpreter", &mut self.errors);
            if let (Some(words), Some(node)) = (&interpreter, fields.get("interpreter")) {
                self.check_interpreter(words, node);
            }
            let args = fields.read("args", &mut self.errors, Node::expect_sequence);
            let args = args.unwrap_or_default();
            let source = fields.require("src", "`script`", &mut self.errors)?;
            (source, args, interpreter.unwrap_or_default())
        } else {
            (node, &[][..], Vec::new())
        };
        let src = self.text(source, "`src`", scope, For::Plain)?;
        let text = match &src {
            Text::Plain(path) => Some(self.read_file(path, source)?),
            Text::Template(_) => None,
        };
        let args = args
            .iter()
            .filter_map(|arg| self.text(arg, "a word of `args`", scope, For::Plain))
            .collect();
        Some(Script {
            src,
            text,
            args,
            interpreter,
        })
    }

    fn check_interpreter(&mut self, words: &[String], node: &Node) {
        if let [word] = words
            && word.contains(char::is_whitespace)
        {
            let list: Vec<&str> = word.split_whitespace().collect();
            let error = Diagnostic::new(format!("no program is called `{word}`"))
                .at(&node.head())
                .hint(format!("write the words as a list: {list:?}"));
            self.error(error);
        }
    }

    /// A file beside the task; an error at its name where it cannot be read.
    pub(super) fn read_file(&mut self, path: &str, node: &Node) -> Option<std::sync::Arc<[u8]>> {
        match self.files.read(path) {
            Ok(bytes) => Some(bytes),
            Err(cause) => {
                let at = place(node, path, 0..path.len());
                let error = Diagnostic::new(format!("cannot read `{path}`: {cause}")).at(&at);
                let paths = self.files.paths();
                self.error(match nearest(path, paths.iter().map(String::as_str)) {
                    Some(near) => error.label(format!("did you mean `{near}`?")),
                    None => error.hint("paths are relative to the folder of the task file"),
                });
                None
            }
        }
    }
}
