//! The forms that other programs read: JUnit XML and TAP.

use std::fmt::Write as _;

use vnet::LabName;
use vnet::expect::{Miss, Report, Tested, Verdict};
use vnet::file::File;
use vnet::why::{Hop, Mend, Verdict as Reach};

/// Says a miss in one sentence, with the links that were cut.
pub(super) fn sentence(miss: &Miss) -> String {
    match miss.cut.as_slice() {
        [] => miss.what.clone(),
        [link] => format!("while {link} is down: {}", miss.what),
        links => format!("while {} are down: {}", links.join(", "), miss.what),
    }
}

/// Says a miss in full: the sentence, what is at fault with its line of the file, and what mends it; of what
/// reaches though it must not, the way that it takes.
pub(super) fn lines(miss: &Miss, file: Option<&File>) -> Vec<String> {
    let at = |line: Option<usize>| {
        let at = file.zip(line);
        at.map(|(file, line)| format!("  ({}:{line})", file.source().name())).unwrap_or_default()
    };
    let mut lines = vec![sentence(miss)];
    let Some(answer) = &miss.answer else { return lines };
    let way = answer.forth.iter().filter(|_| answer.verdict == Reach::Reachable);
    let hop = |hop: &Hop| format!("  {}: {}{}", hop.node, hop.text, at(hop.line));
    lines.extend(way.map(hop));
    for cause in &answer.causes {
        lines.push(format!("  {}: {}{}", cause.code, cause.object, at(cause.line)));
        let commands = cause.mend.iter().flat_map(Mend::commands);
        let commands: Vec<String> = commands.collect();
        lines.extend(commands.iter().flat_map(|it| it.lines()).map(|line| format!("    {line}")));
    }
    lines
}

fn in_full(tested: &Tested, file: Option<&File>) -> String {
    let all = tested.misses.iter().chain(&tested.unknown).flat_map(|miss| lines(miss, file));
    all.collect::<Vec<_>>().join("\n")
}

fn drift(report: &Report) -> String {
    report.drift.iter().map(|step| format!("{} {step}\n", step.sign())).collect()
}

/// Writes JUnit's XML, as CI systems read it: one suite, a case for the drift and one for each
/// expectation. What can't be told is an `error`, no `failure`.
pub(super) fn junit(lab: &LabName, report: &Report, file: Option<&File>) -> String {
    let failures = usize::from(!report.drift.is_empty())
        + report.tested.iter().filter(|t| t.verdict == Verdict::Fails).count();
    let errors = report.tested.iter().filter(|t| t.verdict == Verdict::Unknown).count();
    let seconds: f64 = report.tested.iter().map(|t| t.elapsed.as_secs_f64()).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let lab = escaped(lab.as_str());
    let tests = report.tested.len() + 1;
    let _ = writeln!(
        xml,
        "<testsuite name=\"vnet {lab}\" tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"{errors}\" time=\"{seconds:.3}\">"
    );
    let differs = (!report.drift.is_empty())
        .then(|| ("failure", "the lab differs from what `up` was told".to_owned(), drift(report)));
    case(&mut xml, &lab, "no drift", 0.0, differs);
    for tested in &report.tested {
        let kind = match tested.verdict {
            Verdict::Holds => None,
            Verdict::Fails => Some("failure"),
            Verdict::Unknown => Some("error"),
        };
        let all = tested.misses.iter().chain(&tested.unknown);
        let first = all.map(sentence).next().unwrap_or_default();
        let what = kind.map(|kind| (kind, first, in_full(tested, file)));
        case(&mut xml, &lab, &tested.text, tested.elapsed.as_secs_f64(), what);
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn case(
    xml: &mut String,
    lab: &str,
    name: &str,
    seconds: f64,
    what: Option<(&str, String, String)>,
) {
    let name = escaped(name);
    let _ = write!(xml, "  <testcase classname=\"{lab}\" name=\"{name}\" time=\"{seconds:.3}\"");
    let _ = match what {
        None => writeln!(xml, "/>"),
        Some((kind, first, all)) => writeln!(
            xml,
            ">\n    <{kind} message=\"{}\">{}</{kind}>\n  </testcase>",
            escaped(&first),
            escaped(&all)
        ),
    };
}

/// Replaces what means something in XML, and control characters, which it can't hold.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Writes TAP, version 14 (testanything.org): what can't be told is no success.
pub(super) fn tap(report: &Report, file: Option<&File>) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", report.tested.len() + 1);
    let ok = |good: bool| if good { "ok" } else { "not ok" };
    let _ = writeln!(text, "{} 1 - no drift", ok(report.drift.is_empty()));
    text.push_str(&comment(&drift(report)));
    for (at, tested) in report.tested.iter().enumerate() {
        let good = tested.verdict == Verdict::Holds;
        // A `#` would begin a directive.
        let name = tested.text.replace('#', "\\#");
        let _ = writeln!(text, "{} {} - {name}", ok(good), at + 2);
        text.push_str(&comment(&in_full(tested, file)));
        for why in &tested.left_out {
            text.push_str(&comment(&format!("left out: {why}")));
        }
    }
    text
}

fn comment(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_and_tap_hold_any_text() {
        assert_eq!(escaped("a<b & \"c\"\u{1b}"), "a&lt;b &amp; &quot;c&quot;\u{fffd}");
        assert_eq!(comment("a\nb"), "# a\n# b\n");
    }
}
