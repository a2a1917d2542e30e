use rustix::io::Errno;
use vnet_netlink::{Batch, Flags, Protocol, RawMessage, Socket};

use crate::exclusive;

/// Pushes `table inet <name>`, between nfnetlink's begin and end of a transaction.
fn table_transaction(names: &[&str]) -> Batch {
    const BATCH_BEGIN: u16 = 16;
    const BATCH_END: u16 = 17;
    const NFT_NEWTABLE: u16 = 10 << 8;
    const NFTA_TABLE_NAME: u16 = 1;
    const NFTABLES: [u8; 4] = [0, 0, 0, 10];
    const INET: [u8; 4] = [1, 0, 0, 0];
    let mut batch = Batch::new();
    batch.push_unacknowledged(BATCH_BEGIN, Flags::NONE, |begin| {
        begin.header(&NFTABLES);
    });
    for name in names {
        batch.push_raw(NFT_NEWTABLE, exclusive(), |table| {
            table.header(&INET).text(NFTA_TABLE_NAME, name);
        });
    }
    batch.push_unacknowledged(BATCH_END, Flags::NONE, |end| {
        end.header(&NFTABLES);
    });
    batch
}

fn table_count(socket: &mut Socket) -> usize {
    const NFT_GETTABLE: u16 = (10 << 8) | 1;
    let request = RawMessage::new(NFT_GETTABLE, |table| {
        table.header(&[1, 0, 0, 0]);
    });
    socket.dump(&request.unwrap(), |_| Ok(Some(()))).unwrap().len()
}

#[test]
fn transaction_is_done_whole_or_not_at_all() {
    vnet_testns::root(|| {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let outcome = socket.submit_transaction(&mut table_transaction(&["a", "b"])).unwrap();
        assert!(outcome.is_ok());
        assert_eq!(outcome.done_count(), 4);
        assert_eq!(table_count(&mut socket), 2);

        let mut again = table_transaction(&["c", "a", "d"]);
        let outcome = socket.submit_transaction(&mut again).unwrap();
        let [(2, refusal)] = outcome.refusals() else { panic!("{:?}", outcome.refusals()) };
        assert_eq!(refusal.errno, Errno::EXIST);
        assert_eq!(outcome.done_count(), 0);
        assert_eq!(table_count(&mut socket), 2);
    });
}

#[test]
fn large_transaction_gets_the_room_it_needs() {
    vnet_testns::root(|| {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let names: Vec<String> = (0..150).map(|it| format!("{it:0>200}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut batch = table_transaction(&names);
        assert!(socket.submit_transaction(&mut batch).unwrap().is_ok());
        assert_eq!(table_count(&mut socket), 150);
    });
}
