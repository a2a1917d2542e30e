//! The figures as a table, and what they are checked against.

use std::fmt::Write;

use super::{Line, Who, curve};

/// The project's reach.
const UP_TO_FLOOR: f64 = 1.25;
const GONE_TO_FLOOR: f64 = 1.25;
const CHANGE_OF_10000_SECONDS: f64 = 2.0;
const SINGLE_OF_10000_MS: f64 = 20.0;
const PEAK_OF_10000_MEGABYTES: f64 = 300.0;

/// The sizes that the reach is about.
const REACH_NODES: [u32; 3] = [1000, 5000, 10_000];

pub(super) fn table(machine: &str, lines: &[Line]) -> String {
    let mut text = format!(
        "{machine}; medians\n\n| nodes | who | up, s | ms a node | × floor | again, s | plan, s | one link, s | single, ms | down, s | \
         gone, s | × floor | ours, MB | kernel, kB a node |\n| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | \
         ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    let mut sizes: Vec<(u32, Who)> = lines.iter().map(|line| (line.nodes, line.who)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for (nodes, who) in sizes {
        let at = |who, what: &dyn Fn(&Line) -> Option<f64>| {
            curve(lines, who, what).into_iter().find(|(at, _)| *at == nodes).map(|(_, value)| value)
        };
        let up = |line: &Line| Some(line.up);
        let gone = |line: &Line| line.gone;
        let ratio = |what: &dyn Fn(&Line) -> Option<f64>| {
            let is_whole = who == Who::Mn;
            if is_whole { None } else { Some(at(who, what)? / at(Who::Floor, what)?) }
        };
        let seconds = |value: Option<f64>| cell(value, 3);
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "| {nodes} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            who.name(),
            seconds(at(who, &up)),
            cell(at(who, &up).map(|up| up * 1000.0 / f64::from(nodes)), 2),
            cell(ratio(&up), 2),
            seconds(at(who, &|line| Some(line.vnet?.again))),
            seconds(at(who, &|line| Some(line.vnet?.plan))),
            seconds(at(who, &|line| Some(line.vnet?.change))),
            cell(at(who, &single), 1),
            seconds(at(who, &|line| line.down)),
            seconds(at(who, &gone)),
            cell(ratio(&gone), 2),
            cell(at(who, &|line| Some(line.vnet?.peak_bytes as f64 / 1e6)), 0),
            cell(at(who, &|l| Some(l.kernel_bytes? as f64 / 1e3 / f64::from(nodes))), 0),
        );
    }
    text.push('\n');
    text.push_str(&checks(lines));
    text
}

/// Returns the slowest of the single changes, in milliseconds.
fn single(line: &Line) -> Option<f64> {
    Some(line.vnet?.single?.most_ms())
}

fn checks(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut check = |nodes: u32, what: &str, value: Option<f64>, bound: f64| {
        if let Some(value) = value {
            let verdict = if value <= bound { "pass" } else { "miss" };
            let _ = writeln!(text, "{verdict}: {nodes} nodes: {what}: {value:.2}, reach ≤ {bound}");
        }
    };
    for nodes in REACH_NODES {
        let at = |who, what: &dyn Fn(&Line) -> Option<f64>| {
            curve(lines, who, what).into_iter().find(|(at, _)| *at == nodes).map(|(_, value)| value)
        };
        let ratio = |what: &dyn Fn(&Line) -> Option<f64>| {
            Some(at(Who::Vnet, what)? / at(Who::Floor, what)?)
        };
        check(nodes, "up / floor", ratio(&|line| Some(line.up)), UP_TO_FLOOR);
        check(nodes, "gone / floor", ratio(&|line| line.gone), GONE_TO_FLOOR);
        if nodes == 10_000 {
            let change = at(Who::Vnet, &|line| Some(line.vnet?.change));
            check(nodes, "up after a change of one link, s", change, CHANGE_OF_10000_SECONDS);
            check(nodes, "a single change, ms", at(Who::Vnet, &single), SINGLE_OF_10000_MS);
            let peak = at(Who::Vnet, &|line| Some(line.vnet?.peak_bytes as f64 / 1e6));
            check(nodes, "peak memory, MB", peak, PEAK_OF_10000_MEGABYTES);
        }
    }
    text
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::turns;

    #[test]
    fn a_table() {
        let table = super::table("a machine", &turns());
        let expected = "\
| 100 | vnet | 0.240 | 2.40 | 1.20 | 0.100 | 0.090 | 0.110 | 3.0 | 0.100 | 0.600 | 1.20 | 30 | 430 |
| 100 | floor | 0.200 | 2.00 | 1.00 | – | – | – | – | 0.100 | 0.500 | 1.00 | – | 430 |
| 100 | ip -batch | 0.800 | 8.00 | 4.00 | – | – | – | – | 0.100 | 2.000 | 4.00 | – | 430 |
";
        assert!(table.contains(expected), "{table}");
        assert!(table.ends_with(
            "pass: 1000 nodes: up / floor: 1.20, reach ≤ 1.25\n\
             pass: 1000 nodes: gone / floor: 1.20, reach ≤ 1.25\n"
        ));
    }
}
