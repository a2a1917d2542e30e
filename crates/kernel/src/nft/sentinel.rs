//! Tables that nobody knows of, one of each family: who changes them changes the tables of others.

use rustix::rand::{GetRandomFlags, getrandom};
use vnet_model::Origin;
use vnet_model::nft::build::Builder;
use vnet_model::nft::{Chain, Family, Table, TableId};
use vnet_netlink::{Batch, Error, Socket};

use super::numbers::{HEADER_BYTES, msg, table};
use super::read;
use super::write;

const FAMILIES: [Family; 6] =
    [Family::Inet, Family::Ip, Family::Arp, Family::Netdev, Family::Bridge, Family::Ip6];

/// What is asked for of a table. All of them have its name as their first attribute.
const PARTS: [u16; 4] = [msg::GETTABLE, msg::GETCHAIN, msg::GETRULE, msg::GETOBJ];

/// Tables on the watch, and what they were when they were put there.
pub(super) struct Sentinels {
    name: String,
    parts: Vec<Vec<u8>>,
}

impl Sentinels {
    /// Puts them into the namespace of a socket, with a rule and things that have counted. A family
    /// that the kernel does not have needs none.
    pub(super) fn put(socket: &mut Socket) -> Result<Self, Error> {
        let mut drawn = [0; 8];
        // In a new namespace there is nobody whose name it could be.
        let _ = getrandom(&mut drawn, GetRandomFlags::empty());
        let name = format!("vnet-{:016x}", u64::from_ne_bytes(drawn));
        let mut batch = Batch::new();
        for family in FAMILIES {
            let id = TableId { family, name: name.clone() };
            let rules = vec![Builder::new().counter().accept().rule(Origin::NONE)];
            let chains = vec![Chain { name: "chain".into(), base: None, rules }];
            let table = Table { chains, ..Table::new(id, None) };
            write::add(&mut batch, &table);
            socket.submit_transaction(&mut batch)?;
            write::counted(&mut batch, &table.id);
            socket.submit_transaction(&mut batch)?;
        }
        let parts = parts(socket, &name)?;
        Ok(Self { name, parts })
    }

    /// Tells whether they are as they were.
    pub(super) fn are_unchanged(&self, socket: &mut Socket) -> Result<bool, Error> {
        Ok(parts(socket, &self.name)? == self.parts)
    }

    /// Tells whether a table is one of them.
    pub(super) fn is_one(&self, table: &Table) -> bool {
        table.id.name == self.name
    }
}

/// Reads all that there is of the tables of a name, as the kernel words it: with handles, so that
/// what was made anew differs too.
fn parts(socket: &mut Socket, name: &str) -> Result<Vec<Vec<u8>>, Error> {
    let mut all = Vec::new();
    for part in PARTS {
        all.extend(read::dump(socket, part, |message| {
            let of = read::text(message.attributes(HEADER_BYTES)?, table::NAME)?;
            let words = || message.payload.get(HEADER_BYTES..).map(<[u8]>::to_vec);
            Ok(of.filter(|of| of == name).and_then(|_| words()))
        })?);
    }
    Ok(all)
}
