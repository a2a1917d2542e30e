//! The way to a [`Topology`]: collects the parts, then checks them against each other, all at once.

use std::collections::BTreeSet;

use super::check;
use super::{Link, NetnsPattern, Node, Pool, Routing, Segment, Topology};
use crate::expect::Expectation;
use crate::names::{LabName, NameError};
use crate::origin::Origin;
use crate::problem::{Problem, sorted};

/// Collects the parts of a [`Topology`].
///
/// What is wrong with a part is kept until [`TopologyBuilder::build`], which reports everything
/// at once.
#[derive(Debug, Clone)]
pub struct TopologyBuilder {
    name: Option<LabName>,
    netns: NetnsPattern,
    routing: Routing,
    nodes: Vec<Node>,
    segments: Vec<Segment>,
    links: Vec<Link>,
    pools: Vec<Pool>,
    expect: Vec<Expectation>,
    allowed: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl TopologyBuilder {
    pub(super) fn new(name: &str) -> Self {
        let (name, problems) = match LabName::new(name) {
            Ok(name) => (Some(name), Vec::new()),
            Err(error) => (None, vec![Problem::new(error, Origin::NONE)]),
        };
        Self {
            name,
            netns: NetnsPattern::default(),
            routing: Routing::None,
            nodes: Vec::new(),
            segments: Vec::new(),
            links: Vec::new(),
            pools: Vec::new(),
            expect: Vec::new(),
            allowed: BTreeSet::new(),
            problems,
        }
    }

    /// Sets how namespaces are named; `$lab-$node` where not called.
    #[must_use]
    pub fn netns(mut self, pattern: NetnsPattern) -> Self {
        self.netns = pattern;
        self
    }

    /// Sets where routes between prefixes come from; [`Routing::None`] where not called.
    #[must_use]
    pub fn routing(mut self, routing: Routing) -> Self {
        self.routing = routing;
        self
    }

    /// Adds a node, given whole or by its name.
    #[must_use]
    pub fn node<N: TryInto<Node, Error: Into<ProblemOrNever>>>(mut self, node: N) -> Self {
        if let Some(node) = self.keep(node.try_into()) {
            self.nodes.push(node);
        }
        self
    }

    /// Adds a segment.
    #[must_use]
    pub fn segment(mut self, segment: Segment) -> Self {
        self.segments.push(segment);
        self
    }

    /// Adds a link, given whole or by its two ends: `("r1", "r2:eth0")`.
    #[must_use]
    pub fn link<L: TryInto<Link, Error: Into<ProblemOrNever>>>(mut self, link: L) -> Self {
        if let Some(link) = self.keep(link.try_into()) {
            self.links.push(link);
        }
        self
    }

    /// Lets through what would be refused under a code, where that is meant: two with one address, say
    /// ([`ProblemKind::is_allowed`](crate::problem::ProblemKind::is_allowed)).
    #[must_use]
    pub fn allow(mut self, code: impl Into<String>) -> Self {
        self.allowed.insert(code.into());
        self
    }

    /// Adds something that must hold; that what it names exists is checked when it is resolved.
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expect.push(expectation);
        self
    }

    /// Adds an address pool and returns its index for [`Addressing::Pool`](super::Addressing).
    pub fn push_pool(&mut self, pool: Pool) -> usize {
        self.pools.push(pool);
        self.pools.len() - 1
    }

    /// Checks everything against everything.
    ///
    /// # Errors
    /// Returns all problems, sorted by the place that caused them.
    pub fn build(self) -> Result<Topology, Vec<Problem>> {
        let Self {
            name,
            netns,
            routing,
            nodes,
            segments,
            links,
            pools,
            expect,
            allowed,
            mut problems,
        } = self;
        // Without a good name of its own the lab borrows one, so that all else is checked too.
        let borrowed = || LabName::new("unnamed").expect("`unnamed` is a name");
        let name = name.unwrap_or_else(borrowed);
        let topology =
            Topology { name, netns, routing, nodes, segments, links, pools, expect, allowed };
        problems.extend(check::problems(&topology));
        if problems.is_empty() { Ok(topology) } else { Err(sorted(problems)) }
    }

    fn keep<T, E: Into<ProblemOrNever>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.problems.extend(error.into().0)).ok()
    }
}

/// What [`TopologyBuilder::node`] and [`TopologyBuilder::link`] can be refused for.
#[derive(Debug)]
pub struct ProblemOrNever(Option<Problem>);

impl From<NameError> for ProblemOrNever {
    fn from(error: NameError) -> Self {
        Self(Some(Problem::new(error, Origin::NONE)))
    }
}

impl From<std::convert::Infallible> for ProblemOrNever {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
