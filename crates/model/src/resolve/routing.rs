//! `routing: auto`.
use super::network::Network;
use super::routes::Table;

pub(super) fn add(_network: &Network<'_>, _tables: &mut [Table]) {}
