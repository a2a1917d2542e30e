//! Time and memory over nodes, as one SVG with two panels, both axes logarithmic.

use std::fmt::Write;

use super::{Line, Who, curve};

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 44.0;
const LEGEND: f64 = 22.0;

/// A line of a panel.
struct Curve {
    name: &'static str,
    color: &'static str,
    points: Vec<(u32, f64)>,
}

/// A panel with its place.
struct Panel {
    title: &'static str,
    left: f64,
    curves: Vec<Curve>,
}

pub(super) fn svg(machine: &str, lines: &[Line]) -> String {
    let curve = |name, color, who, what: &dyn Fn(&Line) -> Option<f64>| Curve {
        name,
        color,
        points: curve(lines, who, what).into_iter().filter(|(_, value)| *value > 0.0).collect(),
    };
    let up = |line: &Line| Some(line.up);
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let kernel = |line: &Line| line.kernel_bytes.map(megabytes);
    let time = vec![
        curve("vnet up", "#1b6ac9", Who::Vnet, &up),
        curve("floor", "#444444", Who::Floor, &up),
        curve("ip -batch", "#c9641b", Who::Batch, &up),
        curve("mn, up and down", "#8a2be2", Who::Mn, &up),
        curve("vnet up again", "#2a9d5c", Who::Vnet, &|line| Some(line.vnet?.again)),
        curve("one link changed", "#b5179e", Who::Vnet, &|line| Some(line.vnet?.change)),
    ];
    let memory = vec![
        curve("vnet itself", "#1b6ac9", Who::Vnet, &|line| Some(megabytes(line.vnet?.peak_bytes))),
        curve("kernel, by vnet", "#2a9d5c", Who::Vnet, &kernel),
        curve("kernel, by the floor", "#444444", Who::Floor, &kernel),
        curve("kernel, by ip -batch", "#c9641b", Who::Batch, &kernel),
    ];
    let panels = [
        Panel { title: "time, s", left: 0.0, curves: time },
        Panel { title: "memory, MB", left: LEFT + WIDTH + 24.0, curves: memory },
    ];
    let (width, height) = (2.0 * (LEFT + WIDTH) + 48.0, TOP + HEIGHT + BOTTOM + 4.0 * LEGEND);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"18\">{}</text>\n",
        escape(machine)
    );
    panels.iter().for_each(|panel| panel.draw(&mut text));
    text.push_str("</svg>\n");
    text
}

impl Panel {
    fn draw(&self, text: &mut String) {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let Some(x) = Axis::around(points().map(|(nodes, _)| f64::from(*nodes))) else { return };
        let Some(y) = Axis::around(points().map(|(_, value)| *value)) else { return };
        let at = |(nodes, value): (f64, f64)| {
            (self.left + LEFT + x.place(nodes) * WIDTH, TOP + (1.0 - y.place(value)) * HEIGHT)
        };
        let left = self.left + LEFT;
        // Writing to a String can't fail.
        let _ = writeln!(text, "<text x=\"{left}\" y=\"{}\">{}</text>", TOP - 8.0, self.title);
        for (axis, is_x) in [(&x, true), (&y, false)] {
            for tick in axis.ticks() {
                let (from, to) = match is_x {
                    true => (at((tick, y.first)), at((tick, y.last))),
                    false => (at((x.first, tick)), at((x.last, tick))),
                };
                let _ = writeln!(
                    text,
                    "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#dddddd\"/>",
                    from.0, from.1, to.0, to.1
                );
                let (x, y, anchor) = match is_x {
                    true => (from.0, from.1 + 16.0, "middle"),
                    false => (from.0 - 6.0, from.1 + 4.0, "end"),
                };
                let _ = writeln!(
                    text,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{tick}</text>"
                );
            }
        }
        let bottom = TOP + HEIGHT + 32.0;
        let _ = writeln!(text, "<text x=\"{}\" y=\"{bottom}\">nodes</text>", left + WIDTH / 2.0);
        for (number, curve) in self.curves.iter().filter(|c| !c.points.is_empty()).enumerate() {
            let places: Vec<(f64, f64)> =
                curve.points.iter().map(|(nodes, value)| at((f64::from(*nodes), *value))).collect();
            let list: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let color = curve.color;
            let _ = writeln!(
                text,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
                list.join(" ")
            );
            for (x, y) in places {
                let _ = writeln!(
                    text,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>"
                );
            }
            let (column, row) = ((number % 2) as f64, (number / 2) as f64);
            let (x, y) = (left + column * WIDTH / 2.0, bottom + 20.0 + row * LEGEND);
            let _ = writeln!(
                text,
                "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{color}\"/><text x=\"{}\" y=\"{}\">{}</text>",
                y - 6.0,
                x + 20.0,
                y,
                curve.name
            );
        }
    }
}

/// A logarithmic axis from one power of ten to another.
struct Axis {
    first: f64,
    last: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let least = values.clone().min_by(f64::total_cmp)?;
        let most = values.max_by(f64::total_cmp)?;
        let first = 10f64.powf(least.log10().floor());
        let last = 10f64.powf(most.log10().ceil());
        Some(Self { first, last: if last > first { last } else { first * 10.0 } })
    }

    /// Returns where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value / self.first).log10() / (self.last / self.first).log10()
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let powers = (0..).map(|power| self.first * 10f64.powi(power));
        // A little more: powers of ten are not exact.
        powers.take_while(|tick| *tick <= self.last * 1.001).map(|tick| (tick * 1e6).round() / 1e6)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::turns;
    use super::Axis;

    #[test]
    fn an_axis_is_of_powers_of_ten() {
        let axis = Axis::around([0.02, 3.0].into_iter()).unwrap();
        assert_eq!(axis.ticks().collect::<Vec<_>>(), [0.01, 0.1, 1.0, 10.0]);
        assert!((axis.place(1.0) - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_plot_has_a_line_for_each_who_took_part() {
        let svg = super::svg("a <machine>", &turns());
        assert_eq!(svg.matches("<polyline").count(), 9);
        assert!(
            svg.contains("a &lt;machine>") && svg.contains("ip -batch") && !svg.contains("mn,")
        );
    }
}
