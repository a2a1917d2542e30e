//! Steps on WireGuard devices.

use vnet_model::kind::wireguard::Wireguard;
use vnet_model::{Change, End, Step};

use super::{Executor, failed, known};
use crate::error::Error;
use crate::socket::{self, SocketKind};
use crate::wireguard::{Conversation, PublicKey};

impl Executor<'_> {
    /// Does the first of the steps, which tells a device what to do.
    pub(super) fn wireguard(&mut self, step: &Step) -> Result<usize, Error> {
        if let Change::SetWireguard { name, config } = &step.change {
            let end = End { ns: step.ns.clone(), name: name.clone() };
            self.configure(&end, config).map_err(|source| failed(step, source))?;
        }
        Ok(1)
    }

    fn configure(&mut self, end: &End, config: &Wireguard) -> Result<(), Error> {
        // It may have none yet.
        self.public_key(end)?;
        let mut peers = Vec::with_capacity(config.peers.len());
        for (peer, what) in &config.peers {
            // One whose device is not there has no key: it comes with its device.
            if let Some(key) = self.public_key(peer)? {
                peers.push((key, what));
            }
        }
        let index = self.index(end)?;
        let mut conversation = self.converse(end)?;
        let device = (config.listen_port, config.fwmark);
        conversation.set_peers(index, device, &peers).map_err(|source| Error::Netlink {
            doing: "set WireGuard",
            ns: end.ns.clone(),
            source,
        })
    }

    /// Returns the public key of a device, which gets its private key first where it has none.
    fn public_key(&mut self, end: &End) -> Result<Option<PublicKey>, Error> {
        let Ok(index) = self.index(end) else { return Ok(None) };
        let netlink =
            |source| Error::Netlink { doing: "set WireGuard", ns: end.ns.clone(), source };
        let mut conversation = self.converse(end)?;
        if let Some(key) = conversation.get(index).map_err(netlink)?.public_key {
            return Ok(Some(key));
        }
        let key = self.realm.private_key(end)?;
        conversation.set_key(index, &key).map_err(netlink)
    }

    fn index(&self, end: &End) -> Result<u32, Error> {
        known(&self.indexes, &end.ns, &end.name)
    }

    fn converse(&self, end: &End) -> Result<Conversation, Error> {
        let names = std::slice::from_ref(&end.ns);
        let opened = self.realm.sockets(0, names, SocketKind::Generic)?.pop();
        let socket = opened.ok_or_else(|| Error::Gone { ns: end.ns.clone() })??;
        Conversation::new(socket::from_fd(socket)?).map_err(|source| Error::Netlink {
            doing: "ask for WireGuard",
            ns: end.ns.clone(),
            source,
        })
    }
}
