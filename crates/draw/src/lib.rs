//! Pictures of networks.
//!
//! ```text
//!  Desired ─────────┐
//!                   ├─ graph ─▶ layout ─▶ labels ─▶ SVG
//!  observed State ──┘       └─▶ DOT, Mermaid
//! ```
//!
//! * [`Graph`]: what is drawn: nodes and segments, the lines between them, the texts at each, and what is wrong with it
//!   where it was looked at.
//! * `layout`: where everything stands. A layout is chosen by what the network is: rows of a fabric, a circle of a ring, a
//!   tree from its root down or around its middle, a grid by the numbers in its names; what has no such form is spread by
//!   the distances in it. It is the same for the same network.
//! * `labels`: where the addresses stand: beside their line, where nothing else is. One that has no room is left to the
//!   line's tooltip, so no two texts ever overlap.
//!
//! It refuses to know files, kernels and fonts: texts are as wide as the widest of the usual fonts would have them.
#![warn(missing_docs)]

mod dot;
mod geometry;
mod graph;
mod labels;
mod layout;
mod mermaid;
mod svg;
mod text;
mod wires;

pub use dot::dot;
pub use graph::{Edge, Graph, Status, Vertex, VertexKind};
pub use labels::{Drawing, Label, Shape, arrange};
pub use mermaid::mermaid;
pub use svg::svg;
