//! Numbers of include/uapi/linux/netfilter/nf_tables.h and nfnetlink.h.

/// `NFNL_SUBSYS_NFTABLES`, as the upper byte of a message's type.
const NFTABLES: u16 = 10 << 8;

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
pub(super) const BATCH_BEGIN: u16 = 16;
pub(super) const BATCH_END: u16 = 17;

/// `struct nfgenmsg` of the messages that begin and end a batch: the subsystem is its `res_id`.
pub(super) const BATCH_HEADER: [u8; 4] = [0, 0, 0, 10];

/// `struct nfgenmsg` in bytes.
pub(super) const HEADER_BYTES: usize = 4;

/// `enum nf_tables_msg_types`.
pub(super) mod msg {
    use super::NFTABLES;
    pub(in super::super) const NEWTABLE: u16 = NFTABLES;
    pub(in super::super) const GETTABLE: u16 = NFTABLES | 1;
    pub(in super::super) const DELTABLE: u16 = NFTABLES | 2;
    pub(in super::super) const NEWCHAIN: u16 = NFTABLES | 3;
    pub(in super::super) const GETCHAIN: u16 = NFTABLES | 4;
    pub(in super::super) const DELCHAIN: u16 = NFTABLES | 5;
    pub(in super::super) const NEWRULE: u16 = NFTABLES | 6;
    pub(in super::super) const GETRULE: u16 = NFTABLES | 7;
    pub(in super::super) const DELRULE: u16 = NFTABLES | 8;
    pub(in super::super) const NEWSET: u16 = NFTABLES | 9;
    pub(in super::super) const GETSET: u16 = NFTABLES | 10;
    pub(in super::super) const NEWSETELEM: u16 = NFTABLES | 12;
    pub(in super::super) const GETSETELEM: u16 = NFTABLES | 13;
    pub(in super::super) const NEWOBJ: u16 = NFTABLES | 18;
    pub(in super::super) const GETOBJ: u16 = NFTABLES | 19;
    pub(in super::super) const GETFLOWTABLE: u16 = NFTABLES | 23;
    pub(in super::super) const TRACE: u16 = NFTABLES | 17;
}

/// `enum nft_table_attributes`, `enum nft_table_flags`.
pub(super) mod table {
    pub(in super::super) const NAME: u16 = 1;
    pub(in super::super) const FLAGS: u16 = 2;
    pub(in super::super) const USERDATA: u16 = 6;
    pub(in super::super) const F_DORMANT: u32 = 0x1;
    pub(in super::super) const F_OWNER: u32 = 0x2;
}

/// `NFNLGRP_NFTRACE`, `enum nft_trace_attributes`, `enum nft_trace_types`.
pub(super) mod trace {
    pub(in super::super) const GROUP: u32 = 9;
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const CHAIN: u16 = 2;
    pub(in super::super) const RULE_HANDLE: u16 = 3;
    pub(in super::super) const TYPE: u16 = 4;
    pub(in super::super) const VERDICT: u16 = 5;
    pub(in super::super) const POLICY: u16 = 16;
    pub(in super::super) const TYPE_POLICY: u32 = 1;
    pub(in super::super) const TYPE_RULE: u32 = 3;
}

/// `enum nft_chain_attributes`, and `enum nft_hook_attributes`.
pub(super) mod chain {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const NAME: u16 = 3;
    pub(in super::super) const HOOK: u16 = 4;
    pub(in super::super) const POLICY: u16 = 5;
    pub(in super::super) const TYPE: u16 = 7;
    pub(in super::super) const HOOK_HOOKNUM: u16 = 1;
    pub(in super::super) const HOOK_PRIORITY: u16 = 2;
    pub(in super::super) const HOOK_DEVS: u16 = 4;
    /// `enum nft_devices_attributes`.
    pub(in super::super) const DEVICE_NAME: u16 = 1;
    pub(in super::super) const DEVICE_PREFIX: u16 = 2;
    /// `NF_NETDEV_INGRESS`, `NF_NETDEV_EGRESS` and `NF_INET_INGRESS` (linux/netfilter.h).
    pub(in super::super) const NETDEV_INGRESS: u32 = 0;
    pub(in super::super) const NETDEV_EGRESS: u32 = 1;
    pub(in super::super) const INET_INGRESS: u32 = 5;
}

/// `enum nft_rule_attributes`.
pub(super) mod rule {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const CHAIN: u16 = 2;
    pub(in super::super) const HANDLE: u16 = 3;
    pub(in super::super) const EXPRESSIONS: u16 = 4;
    pub(in super::super) const POSITION: u16 = 6;
}

/// `enum nft_object_attributes`, `NFT_OBJECT_COUNTER` and `NFT_OBJECT_QUOTA`,
/// `enum nft_counter_attributes`, `enum nft_quota_attributes`.
pub(super) mod object {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const NAME: u16 = 2;
    pub(in super::super) const TYPE: u16 = 3;
    pub(in super::super) const DATA: u16 = 4;
    pub(in super::super) const COUNTER: u32 = 1;
    pub(in super::super) const QUOTA: u32 = 2;
    pub(in super::super) const COUNTER_BYTES: u16 = 1;
    pub(in super::super) const COUNTER_PACKETS: u16 = 2;
    pub(in super::super) const QUOTA_BYTES: u16 = 1;
    pub(in super::super) const QUOTA_CONSUMED: u16 = 4;
}

/// `enum nft_flowtable_attributes`, `enum nft_flowtable_hook_attributes`.
pub(super) mod flowtable {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const NAME: u16 = 2;
    pub(in super::super) const HOOK: u16 = 3;
    pub(in super::super) const FLAGS: u16 = 7;
    pub(in super::super) const HOOK_NUM: u16 = 1;
    pub(in super::super) const HOOK_PRIORITY: u16 = 2;
    pub(in super::super) const HOOK_DEVS: u16 = 3;
}

/// `enum nft_set_attributes`, `enum nft_set_desc_attributes`, `enum nft_set_flags`.
pub(super) mod set {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const NAME: u16 = 2;
    pub(in super::super) const FLAGS: u16 = 3;
    pub(in super::super) const KEY_TYPE: u16 = 4;
    pub(in super::super) const KEY_LEN: u16 = 5;
    pub(in super::super) const DESC: u16 = 9;
    pub(in super::super) const ID: u16 = 10;
    pub(in super::super) const USERDATA: u16 = 13;
    pub(in super::super) const DESC_SIZE: u16 = 1;
    pub(in super::super) const DESC_CONCAT: u16 = 2;
    pub(in super::super) const FIELD_LEN: u16 = 1;
    pub(in super::super) const F_ANONYMOUS: u32 = 0x1;
    pub(in super::super) const F_CONSTANT: u32 = 0x2;
    pub(in super::super) const F_INTERVAL: u32 = 0x4;
    pub(in super::super) const F_MAP: u32 = 0x8;
    pub(in super::super) const F_TIMEOUT: u32 = 0x10;
    pub(in super::super) const F_EVAL: u32 = 0x20;
    pub(in super::super) const F_CONCAT: u32 = 0x80;
}

/// `enum nft_set_elem_list_attributes`, `enum nft_set_elem_attributes`, `enum nft_set_elem_flags`.
pub(super) mod elem {
    pub(in super::super) const LIST_TABLE: u16 = 1;
    pub(in super::super) const LIST_SET: u16 = 2;
    pub(in super::super) const LIST_ELEMENTS: u16 = 3;
    pub(in super::super) const LIST_SET_ID: u16 = 4;
    pub(in super::super) const KEY: u16 = 1;
    pub(in super::super) const DATA: u16 = 2;
    pub(in super::super) const FLAGS: u16 = 3;
    pub(in super::super) const KEY_END: u16 = 10;
    pub(in super::super) const F_INTERVAL_END: u32 = 1;
}

/// `NFTA_LIST_ELEM`.
pub(super) const LIST_ELEM: u16 = 1;

/// `enum nft_expr_attributes`.
pub(super) mod expr {
    pub(in super::super) const NAME: u16 = 1;
    pub(in super::super) const DATA: u16 = 2;
}

/// `enum nft_data_attributes`, `enum nft_verdict_attributes`.
pub(super) mod data {
    pub(in super::super) const VALUE: u16 = 1;
    pub(in super::super) const VERDICT: u16 = 2;
    pub(in super::super) const VERDICT_CODE: u16 = 1;
    pub(in super::super) const VERDICT_CHAIN: u16 = 2;
}

/// `NF_DROP` and `NF_ACCEPT` (linux/netfilter.h), `enum nft_verdicts`.
pub(super) mod verdict {
    pub(in super::super) const DROP: i32 = 0;
    pub(in super::super) const ACCEPT: i32 = 1;
    pub(in super::super) const CONTINUE: i32 = -1;
    pub(in super::super) const JUMP: i32 = -3;
    pub(in super::super) const GOTO: i32 = -4;
    pub(in super::super) const RETURN: i32 = -5;
}

/// `enum nft_lookup_attributes`.
pub(super) mod lookup {
    pub(in super::super) const SET: u16 = 1;
    pub(in super::super) const SREG: u16 = 2;
    pub(in super::super) const DREG: u16 = 3;
    pub(in super::super) const FLAGS: u16 = 5;
}
