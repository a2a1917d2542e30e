//! The file as a whole.

use vnet_model::topology::{NetnsPattern, Routing};
use vnet_model::{LabName, Topology};

use super::{Fields, Reader};
use crate::report::Diagnostic;
use crate::syntax::{Data, Value};
use crate::vocabulary::FILE;

impl Reader<'_> {
    /// Reads the file; `None` where something is wrong, which is reported then.
    pub(super) fn file(&mut self, root: &Value) -> Option<Topology> {
        if matches!(root.data, Data::Empty) {
            let error = Diagnostic::error("the file is empty", None);
            self.error(error.hint("the smallest lab is `{ name: demo, nodes: [ a ] }`"));
            return None;
        }
        let fields = self.fields(root, &FILE)?;
        let name = self.lab_name(&fields);
        let mut builder = Topology::builder(name.as_ref().map_or("unnamed", LabName::as_str));
        if let Some(value) = fields.get("netns")
            && let Some(text) = self.text(value, "netns", None)
        {
            builder = builder.netns(NetnsPattern::new(&text.text));
        }
        if let Some(value) = fields.get("routing") {
            let words = [("none", Routing::None), ("auto", Routing::Auto)];
            builder =
                builder.routing(self.word(value, "routing", None, &words).unwrap_or_default());
        }
        if let Some(value) = fields.get("allow") {
            let codes = self.texts(value, "allow", None);
            self.allow = codes.into_iter().map(|code| (code.text.into(), code.span)).collect();
            builder = self.allow.iter().fold(builder, |builder, (code, _)| builder.allow(code));
        }
        if let Some(value) = fields.get("nodes") {
            builder =
                self.nodes(value).into_iter().fold(builder, |builder, node| builder.node(node));
        }
        if let Some(value) = fields.get("segments") {
            let segments = self.segments(value);
            builder = segments.into_iter().fold(builder, |builder, it| builder.segment(it));
        }
        if let Some(value) = fields.get("links") {
            let links = self.links(value);
            for pool in links.pools {
                builder.push_pool(pool);
            }
            builder = links.links.into_iter().fold(builder, |builder, link| builder.link(link));
        }
        if let Some(value) = fields.get("expect") {
            let expectations = self.expectations(value);
            builder = expectations.into_iter().fold(builder, |builder, it| builder.expect(it));
        }
        if !self.names_whole {
            return None;
        }
        let sound = self.found.is_empty();
        match builder.build() {
            Ok(topology) => sound.then_some(topology),
            Err(problems) => {
                problems.iter().for_each(|problem| self.problem(problem));
                None
            }
        }
    }

    fn lab_name(&mut self, fields: &Fields<'_>) -> Option<LabName> {
        let Some(value) = fields.get("name") else {
            let error = Diagnostic::error("the file gives the lab no `name`", None);
            self.error(error.hint("add a first line such as `name: demo`"));
            return None;
        };
        let text = self.text(value, "name", None)?;
        self.name(&text.text, text.span, LabName::new(&text.text))
    }
}
