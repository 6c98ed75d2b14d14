//! `upload`, `template` and `download`: files to and from a host.

use crate::model::Diagnostic;
use crate::task::{Copy, CopyContent, Download, FileCheck, Text};
use crate::yaml::{Entry, Fields, Node};

use super::reader::Reader;
use super::scope::Scope;
use super::text_value::For;

impl<'a> Reader<'a> {
    /// `upload` and `template`.
    pub(super) fn copy(&mut self, action: &Entry<'a>, scope: &Scope) -> Option<Copy> {
        let what = format!("`{}`", action.name);
        let known = ["src", "dest", "mode", "owner", "backup", "sha256", "verify"];
        let fields = action
            .value
            .expect_mapping(&what, &known, &mut self.errors)?;
        let src = self.required_text(&fields, "src", &what, scope);
        let dest = self.required_text(&fields, "dest", &what, scope);
        let mode = self.mode(&fields);
        let owner = self.text_at(&fields, "owner", scope, For::Plain);
        let backup = fields.bool("backup", &mut self.errors).unwrap_or(false);
        let sha256 = self.sha256(&fields, scope);
        let verify = self.text_at(&fields, "verify", scope, For::Shell);
        let content = if action.name == "template" {
            self.check_template_file(&fields, src.as_ref(), scope);
            CopyContent::Rendered
        } else {
            CopyContent::File
        };
        Some(Copy {
            content,
            src: src?,
            dest: dest?,
            mode,
            owner,
            backup,
            sha256,
            verify,
            text: None,
        })
    }

    /// The template file must exist and read names that exist.
    fn check_template_file(&mut self, fields: &Fields<'a>, src: Option<&Text>, scope: &Scope) {
        let (Some(Text::Plain(path)), Some(node)) = (src, fields.get("src")) else {
            return;
        };
        let Some(bytes) = self.read_file(path, node) else {
            return;
        };
        let Ok(text) = std::str::from_utf8(&bytes) else {
            let message = format!("`{path}` is no text: a template must be UTF-8");
            self.error(Diagnostic::new(message).at(&node.head()));
            return;
        };
        self.check_file_text(path, text, scope);
    }

    fn mode(&mut self, fields: &Fields<'a>) -> Option<String> {
        let mode = fields.string("mode", &mut self.errors)?;
        let valid =
            matches!(mode.len(), 3 | 4) && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        if valid {
            return Some(mode);
        }
        let at = fields.get("mode").map(Node::head)?;
        let message = format!("`mode`: `{mode}` is not an octal mode such as `0644`");
        self.error(Diagnostic::new(message).at(&at));
        None
    }

    fn sha256(&mut self, fields: &Fields<'a>, scope: &Scope) -> Option<Text> {
        let text = self.text_at(fields, "sha256", scope, For::Plain)?;
        if let Text::Plain(digest) = &text
            && !digest.is_empty()
            && (digest.len() != 64 || !digest.bytes().all(|digit| digit.is_ascii_hexdigit()))
        {
            let at = fields.get("sha256").map(Node::head)?;
            let message = format!("`sha256`: `{digest}` is not 64 hexadecimal digits");
            self.error(Diagnostic::new(message).at(&at));
        }
        Some(text)
    }

    /// `download`.
    pub(super) fn download(&mut self, node: &'a Node, scope: &Scope) -> Option<Download> {
        let known = ["src", "dest", "sha256", "max_size", "missing", "verify"];
        let fields = node.expect_mapping("`download`", &known, &mut self.errors)?;
        let src = self.required_text(&fields, "src", "`download`", scope);
        let checks = [("hprof", FileCheck::Hprof)];
        let missing = [("fail", false), ("ok", true)];
        Some(Download {
            dest: self.text_at(&fields, "dest", scope, For::Plain),
            sha256: self.sha256(&fields, scope),
            max_size: fields.size("max_size", &mut self.errors).map(|size| size.0),
            missing_ok: fields
                .word("missing", &missing, &mut self.errors)
                .unwrap_or(false),
            verify: fields.word("verify", &checks, &mut self.errors),
            src: src?,
        })
    }
}
