//! Steps that move an interface of the host's into a node, and back.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use vnet_model::kind::physical;
use vnet_model::{Change, End, IfName, NewLink, NsName, Step};
use vnet_netlink::Message;

use super::{Executor, failed, known, message};
use crate::error::Error;

/// Returns what a change moves, from where to where, and the alias that it has there.
fn move_of(step: &Step) -> Option<(End, End, String)> {
    let here = |name: &IfName| End { ns: step.ns.clone(), name: name.clone() };
    let host = |name: &IfName| End { ns: NsName::host(), name: name.clone() };
    match &step.change {
        Change::AddLink { name, link: NewLink::Device { device, .. } }
            if device.spec.is_physical() =>
        {
            let lower = device.host_lower.as_ref()?;
            Some((host(lower), here(name), physical::alias_of(lower)))
        }
        Change::DelLink { name, back: Some(back) } => Some((here(name), host(back), String::new())),
        _ => None,
    }
}

/// Tells whether a change moves an interface.
pub(super) fn is_move(change: &Change) -> bool {
    match change {
        Change::AddLink { link: NewLink::Device { device, .. }, .. } => {
            device.spec.is_physical() && device.host_lower.is_some()
        }
        Change::DelLink { back, .. } => back.is_some(),
        _ => false,
    }
}

impl Executor<'_> {
    /// Moves an interface. At no instant is it anywhere without telling whence it is. Its addresses
    /// are gone then, and it is down.
    pub(super) fn move_link(&mut self, step: &Step) -> Result<usize, Error> {
        let Some((from, to, alias)) = move_of(step) else { return Ok(1) };
        let stop = |source| failed(step, source);
        let netlink = |ns: &NsName| {
            let ns = ns.clone();
            move |source| failed(step, Error::Netlink { doing: "move an interface", ns, source })
        };
        let index = known(&self.indexes, &from.ns, &from.name).map_err(stop)?;
        let there = self.sockets.keep(&to.ns).map_err(stop)?;
        self.batch.clear();
        message::move_link(&mut self.batch, index, &there, &to.name, &alias);
        let opened = self.sockets.get(&from.ns).map_err(stop)?;
        let outcome = opened.socket.submit(&mut self.batch).map_err(netlink(&from.ns))?;
        outcome
            .into_result()
            .map_err(|(_, refusal)| Error::Refused { step: Box::new(step.clone()), refusal })?;
        if let Some(indexes) = self.indexes.get_mut(&from.ns) {
            indexes.remove(&from.name);
        }
        // It keeps its index where that is free there.
        let mut question = LinkMessage::default();
        question.attributes.push(LinkAttribute::IfName(to.name.to_string()));
        let opened = self.sockets.get(&to.ns).map_err(stop)?;
        let question = RouteNetlinkMessage::GetLink(question);
        let index = |answer: Message<'_>| match answer.decode() {
            Ok(RouteNetlinkMessage::NewLink(link)) => Ok(Some(link.header.index)),
            _ => Ok(None),
        };
        let index = opened.socket.get_one(&question, index).map_err(netlink(&to.ns))?;
        let missing = || Error::NoInterface { ns: to.ns.clone(), name: to.name.to_string() };
        let index = index.ok_or_else(|| stop(missing()))?;
        self.indexes.entry(to.ns).or_default().insert(to.name, index);
        Ok(1)
    }
}
