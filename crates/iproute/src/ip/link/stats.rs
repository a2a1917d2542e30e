//! The counters of an interface (`struct rtnl_link_stats64`, linux/if_link.h).

use super::super::out::Out;
use super::super::wire::Attrs;

const IFLA_STATS64: u16 = 23;

/// The counters by their place in the structure.
struct Counters(Vec<u64>);

impl Counters {
    fn get(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or_default()
    }
}

// Places in the structure.
const RX_PACKETS: usize = 0;
const TX_PACKETS: usize = 1;
const RX_BYTES: usize = 2;
const TX_BYTES: usize = 3;
const RX_ERRORS: usize = 4;
const TX_ERRORS: usize = 5;
const RX_DROPPED: usize = 6;
const TX_DROPPED: usize = 7;
const MULTICAST: usize = 8;
const COLLISIONS: usize = 9;
const RX_LENGTH: usize = 10;
const RX_OVER: usize = 11;
const RX_CRC: usize = 12;
const RX_FRAME: usize = 13;
const RX_FIFO: usize = 14;
const RX_MISSED: usize = 15;
const TX_ABORTED: usize = 16;
const TX_CARRIER: usize = 17;
const TX_FIFO: usize = 18;
const TX_HEARTBEAT: usize = 19;
const TX_WINDOW: usize = 20;
const RX_COMPRESSED: usize = 21;
const TX_COMPRESSED: usize = 22;
const RX_NOHANDLER: usize = 23;

/// Prints the counters; with `level` 2 those of errors one by one.
pub(crate) fn print(out: &mut Out, attrs: &Attrs<'_>, level: u8) {
    let Some(bytes) = attrs.get(IFLA_STATS64) else { return };
    let numbers = bytes.chunks_exact(8).filter_map(|chunk| chunk.first_chunk());
    let counters = Counters(numbers.map(|chunk| u64::from_ne_bytes(*chunk)).collect());
    let changes = attrs.u32(super::IFLA_CARRIER_CHANGES);
    if out.is_json() {
        return print_json(out, &counters, level, changes);
    }
    let get = |at| counters.get(at);
    let rx = [RX_BYTES, RX_PACKETS, RX_ERRORS, RX_DROPPED, RX_MISSED, MULTICAST];
    let tx = [TX_BYTES, TX_PACKETS, TX_ERRORS, TX_DROPPED, TX_CARRIER, COLLISIONS];
    let rx_errors = [RX_LENGTH, RX_CRC, RX_FRAME, RX_FIFO, RX_OVER];
    let tx_errors = [TX_ABORTED, TX_FIFO, TX_WINDOW, TX_HEARTBEAT];
    let mut tx_errors: Vec<u64> = tx_errors.map(get).to_vec();
    tx_errors.extend(changes.map(u64::from));
    let mut width = [10, 7, 6, 7, 7, 7, 10];
    widen(&mut width, &rx.map(get));
    widen(&mut width, &tx.map(get));
    if level > 1 {
        widen(&mut width[1..], &rx_errors.map(get));
        widen(&mut width[1..], &tx_errors);
    }
    let names = ["bytes", "packets", "errors", "dropped", "missed", "mcast"];
    head(out, "RX", &width, names, get(RX_COMPRESSED) != 0);
    values(out, &width, &rx.map(get), get(RX_COMPRESSED));
    if level > 1 {
        out.next_line();
        let names = ["length", "crc", "frame", "fifo", "overrun"];
        let nohandler = get(RX_NOHANDLER);
        errors_head(out, "RX", &width, &names, nohandler != 0);
        errors(out, &width, &rx_errors.map(get), nohandler);
    }
    out.next_line();
    let names = ["bytes", "packets", "errors", "dropped", "carrier", "collsns"];
    head(out, "TX", &width, names, get(TX_COMPRESSED) != 0);
    values(out, &width, &tx.map(get), get(TX_COMPRESSED));
    if level > 1 {
        out.next_line();
        let names = ["aborted", "fifo", "window", "heartbt", "transns"];
        errors_head(out, "TX", &width, &names[..tx_errors.len()], false);
        errors(out, &width, &tx_errors, 0);
    }
}

fn widen(width: &mut [usize], values: &[u64]) {
    for (width, value) in width.iter_mut().zip(values) {
        *width = (*width).max(value.to_string().len());
    }
}

fn head(out: &mut Out, way: &str, width: &[usize; 7], names: [&str; 6], compressed: bool) {
    let mut line = format!("    {way}: {:>1$}", names[0], width[0] - 4);
    for (name, width) in names[1..].iter().zip(&width[1..]) {
        line.push_str(&format!(" {name:>width$}"));
    }
    let compressed = if compressed { "compressed" } else { "" };
    line.push_str(&format!(" {compressed:>0$}", width[6]));
    out.text(&line);
    out.next_line();
}

fn values(out: &mut Out, width: &[usize; 7], values: &[u64], compressed: u64) {
    let mut line = String::from("    ");
    for (value, width) in values.iter().zip(width) {
        line.push_str(&format!("{value:>width$} "));
    }
    if compressed != 0 {
        line.push_str(&format!("{compressed:>0$} ", width[6]));
    }
    out.text(&line);
}

fn errors_head(out: &mut Out, way: &str, width: &[usize; 7], names: &[&str], nohandler: bool) {
    let mut line = format!("    {way} errors:{:1$}", "", width[0] - 10);
    for (name, width) in names.iter().zip(&width[1..]) {
        line.push_str(&format!(" {name:>width$}"));
    }
    if nohandler {
        line.push_str(" nohandler");
    }
    out.text(&line);
    out.next_line();
}

fn errors(out: &mut Out, width: &[usize; 7], values: &[u64], nohandler: u64) {
    let mut line = format!("{:1$}", "", width[0] + 5);
    for (value, width) in values.iter().zip(&width[1..]) {
        line.push_str(&format!("{value:>width$} "));
    }
    if nohandler != 0 {
        line.push_str(&format!("{nohandler:>0$} ", width[6]));
    }
    out.text(&line);
}

fn print_json(out: &mut Out, counters: &Counters, level: u8, changes: Option<u32>) {
    let rx = [
        ("bytes", RX_BYTES),
        ("packets", RX_PACKETS),
        ("errors", RX_ERRORS),
        ("dropped", RX_DROPPED),
        ("over_errors", RX_OVER),
        ("multicast", MULTICAST),
    ];
    let rx_errors = [
        ("length_errors", RX_LENGTH),
        ("crc_errors", RX_CRC),
        ("frame_errors", RX_FRAME),
        ("fifo_errors", RX_FIFO),
        ("missed_errors", RX_MISSED),
    ];
    let tx = [
        ("bytes", TX_BYTES),
        ("packets", TX_PACKETS),
        ("errors", TX_ERRORS),
        ("dropped", TX_DROPPED),
        ("carrier_errors", TX_CARRIER),
        ("collisions", COLLISIONS),
    ];
    let tx_errors = [
        ("aborted_errors", TX_ABORTED),
        ("fifo_errors", TX_FIFO),
        ("window_errors", TX_WINDOW),
        ("heartbeat_errors", TX_HEARTBEAT),
    ];
    let all = |out: &mut Out, list: &[(&str, usize)]| {
        for (key, at) in list {
            out.num(key, "", counters.get(*at));
        }
    };
    let some = |out: &mut Out, key: &str, at: usize| {
        if counters.get(at) != 0 {
            out.num(key, "", counters.get(at));
        }
    };
    out.open(Some("stats64"));
    out.open(Some("rx"));
    all(out, &rx);
    some(out, "compressed", RX_COMPRESSED);
    if level > 1 {
        all(out, &rx_errors);
        some(out, "nohandler", RX_NOHANDLER);
    }
    out.close();
    out.open(Some("tx"));
    all(out, &tx);
    some(out, "compressed", TX_COMPRESSED);
    if level > 1 {
        all(out, &tx_errors);
        if let Some(changes) = changes {
            out.num("carrier_changes", "", changes);
        }
    }
    out.close();
    out.close();
}
