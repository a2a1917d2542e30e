//! The topology file: YAML to Topology and back, with diagnostics that point at the line.
