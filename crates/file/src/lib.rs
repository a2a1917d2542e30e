//! The topology file: YAML to [`Topology`] and back, with diagnostics that
//! point at the line.
//!
//! ```text
//!  text ──syntax──▶ values with spans ──vars──▶ … ──read──▶ Topology + span table
//!                                                    │
//!        vocabulary (every key, once) ───────────────┴────▶ JSON schema
//! ```
//!
//! * [`Source`]: the text and the name to show it under.
//! * `syntax`: YAML to a tree of texts, lists and maps, each with its place. It alone knows the
//!   YAML crate. Nothing is a number or boolean yet: what a text means depends on its key.
//! * `vars`: `$name` in that tree.
//! * `range`: `pc1..20`.
//! * `vocabulary`: every key of the language as one table, which the reader and the JSON schema
//!   are both made from. (A schema derived from Rust structs would need structs that nothing else
//!   needs: no part of a file is read by serde.)
//! * `read`: the tree to a topology. It reports what is wrong and goes on, so that all errors of
//!   a file are shown at once.
//! * [`write()`]: a resolved topology as a file again.
//! * [`generate`]: files of rings, trees and other shapes.
//! * [`Report`]: what is wrong, as data, and in rustc's form.
//!
//! It refuses to know the kernel, files and terminals: text in, data out.
#![warn(missing_docs)]

pub mod generate;
mod range;
mod read;
mod report;
mod schema;
mod source;
mod syntax;
mod vars;
mod vocabulary;
mod write;

use vnet_model::{Desired, Origin, Topology};

pub use range::{RangeError, expand};
pub use report::{Diagnostic, Label, Place, Report, Severity};
pub use schema::schema;
pub use source::{SOURCE_MAX_BYTES, Source, Span};
pub use write::{write, write_short};

/// A file that was read and found to be right.
#[derive(Debug, Clone)]
pub struct File {
    topology: Topology,
    spans: Vec<Span>,
    source: Source,
    allow: Vec<(String, Span)>,
    unused_variables: Vec<(String, Span)>,
}

/// Something doubtful in a file that can be used.
#[derive(Debug, Clone)]
pub struct Warning {
    /// What is doubtful, in one sentence.
    pub message: String,
    /// Where; nothing is a matter of the file as a whole.
    pub span: Option<Span>,
    /// A further place that matters, and why.
    pub label: Option<(Span, String)>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Reads a file. `vars` override its `vars:`, as `--var loss=5%` does.
///
/// ```
/// let source = vnet_file::Source::new(
///     "vnet.yaml",
///     "{ name: demo, nodes: [ a, b ], links: [[ a, b ]] }",
/// );
/// let file = vnet_file::parse(&source, &[]).unwrap();
/// assert_eq!(file.topology().nodes().len(), 2);
/// ```
///
/// # Errors
/// Returns everything that is wrong with the file, sorted by place.
pub fn parse(source: &Source, vars: &[(String, String)]) -> Result<File, Report> {
    let (root, mut found) = syntax::parse(source);
    let Some(mut root) = root else { return Err(Report::new(found, source)) };
    let substituted = vars::substitute(&mut root, vars);
    found.extend(substituted.found);
    let read = read::read(&root, source, found);
    match read.topology {
        Some(topology) => Ok(File {
            topology,
            spans: read.spans,
            source: source.clone(),
            allow: read.allow,
            unused_variables: substituted.unused,
        }),
        None => Err(Report::new(read.found, source)),
    }
}

impl File {
    /// Returns the topology that the file describes.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Returns the same file as another lab (`vnet -l`).
    #[must_use]
    pub fn renamed(self, name: vnet_model::LabName) -> Self {
        Self { topology: self.topology.renamed(name), ..self }
    }

    /// Returns the text that was read.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the piece of text that asked for an object, if one did.
    #[must_use]
    pub fn span(&self, origin: Origin) -> Option<Span> {
        self.spans.get(origin.index()?).copied()
    }

    /// Returns the line, from 1, that asked for an object, if one did.
    #[must_use]
    pub fn line(&self, origin: Origin) -> Option<usize> {
        let before = self.source.text().get(..self.span(origin)?.start)?;
        Some(before.matches('\n').count() + 1)
    }

    /// Derives everything that the file leaves open.
    ///
    /// # Errors
    /// Returns everything that can't be derived, with the places that asked for it.
    pub fn resolve(&self) -> Result<Desired, Report> {
        vnet_model::resolve(&self.topology).map_err(|problems| {
            let diagnostic = |problem| Diagnostic::of_problem(problem, |origin| self.span(origin));
            Report::new(problems.iter().map(diagnostic).collect(), &self.source)
        })
    }

    /// Returns the codes of which nobody shall be warned, each with its place.
    #[must_use]
    pub fn allowed(&self) -> &[(String, Span)] {
        &self.allow
    }

    /// Returns the variables that stand nowhere in the file, each with its place.
    #[must_use]
    pub fn unused_variables(&self) -> &[(String, Span)] {
        &self.unused_variables
    }

    /// Shows what is doubtful in the file under its lines.
    #[must_use]
    pub fn report_warnings(&self, warnings: Vec<Warning>) -> Report {
        let diagnostic = |warning: Warning| {
            let mut diagnostic = Diagnostic::error(&warning.message, warning.span);
            diagnostic.severity = Severity::Warning;
            diagnostic.hint = warning.hint.map(|hint| report::printable(&hint));
            match warning.label {
                Some((span, text)) => diagnostic.label(span, text),
                None => diagnostic,
            }
        };
        Report::new(warnings.into_iter().map(diagnostic).collect(), &self.source)
    }

    /// Shows an error of the kernel under the line that asked for what it refused.
    #[must_use]
    pub fn report_kernel_error(&self, origin: Origin, message: &str, hint: Option<&str>) -> Report {
        let mut diagnostic = Diagnostic::error(message, self.span(origin));
        diagnostic.hint = hint.map(report::printable);
        Report::new(vec![diagnostic], &self.source)
    }
}
