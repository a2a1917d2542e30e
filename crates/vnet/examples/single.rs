//! Measures single changes to a lab of root's that is up: a link down and up again, an address more and
//! less. Prints milliseconds as JSON.
//!
//! `single FILE STATE_DIR`
#![allow(clippy::print_stdout, reason = "the figures are the outcome")]

use std::error::Error;
use std::time::Instant;

use vnet::model::{Address, Change, Step};
use vnet::{Desired, Lab, Settings};

/// How often each change is made.
const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(state_dir)) = (arguments.next(), arguments.next()) else {
        return Err("usage: single FILE STATE_DIR".into());
    };
    let source = vnet::file::Source::new(file.as_str(), std::fs::read_to_string(&file)?);
    let desired = vnet::file::parse(&source, &[]).and_then(|file| file.resolve());
    let desired = desired.map_err(|report| report.render(&source, false))?;
    let mut lab = Lab::open(&Settings::new(state_dir), &desired.lab)?;
    let [mut down, mut up, mut more, mut less] = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        // Links all over the lab.
        let link = &desired.links[(round * 977) % desired.links.len()];
        let (name, (node, interface)) = (link.name.clone(), &link.ends[0]);
        down.push(timed(|| lab.set_link(&desired, &name, false).map(drop))?);
        up.push(timed(|| lab.set_link(&desired, &name, true).map(drop))?);
        let [add, remove] = address(&desired, node.as_str(), interface.as_str())?;
        more.push(timed(|| lab.apply(&desired, &[add]).map(drop))?);
        less.push(timed(|| lab.apply(&desired, &[remove]).map(drop))?);
    }
    println!(
        "{{\"link_down_ms\": {:.3}, \"link_up_ms\": {:.3}, \"address_ms\": {:.3}, \"no_address_ms\": {:.3}}}",
        median(down),
        median(up),
        median(more),
        median(less)
    );
    Ok(())
}

/// Makes the steps that add an address and remove it.
fn address(desired: &Desired, node: &str, interface: &str) -> Result<[Step; 2], Box<dyn Error>> {
    let end = desired.end_of(node, interface).ok_or("no such interface")?;
    let (dev, address) = (end.name, Address::new("192.0.2.1/24".parse()?));
    let add = Change::AddAddress { dev: dev.clone(), address };
    let remove = Change::DelAddress { dev, address };
    Ok([Step::new(end.ns.clone(), add), Step::new(end.ns, remove)])
}

fn timed(work: impl FnOnce() -> Result<(), vnet::Error>) -> Result<f64, vnet::Error> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
