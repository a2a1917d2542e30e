//! Takes out of an output what is never the same twice: random addresses, timers.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

/// Returns the text with placeholders for what is random.
pub(crate) fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '_' | '/' | '%');
    let mut before = String::new();
    for c in text.chars().chain(['\n']) {
        if is_word(c) {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            out.push_str(&placeholder(&word, &before));
            before = std::mem::take(&mut word);
        }
        out.push(c);
    }
    out.pop();
    for before in ["permaddr ", "\"permaddr\":\"", "\"permaddr\": \""] {
        out = without_permanent(&out, before);
    }
    // The last one: how long ago a route was looked up is said of one that was not just now.
    for dropped in ["tentative ", "\"tentative\":true,", " age TIME"] {
        out = out.replace(dropped, "");
    }
    out.split_inclusive('\n').filter(|line| !is_learned(line)).collect()
}

/// Tells whether a line is that of an address that a bridge has learned, which it has as soon as a new
/// neighbour says its first word: at its leisure.
fn is_learned(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    matches!(words[..], ["MAC", "dev", _, "master", _])
}

/// Takes out the permanent hardware address of a tunnel, which is random.
fn without_permanent(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find([' ', '"', '\n']).unwrap_or(part.len());
        out.push_str(before);
        out.push_str("PERMADDR");
        out.push_str(&part[end..]);
    }
    out
}

fn placeholder(word: &str, before: &str) -> String {
    if is_random_mac(word) {
        return "MAC".to_owned();
    }
    if let Some((priority, mac)) = word.split_once('.')
        && priority.len() == 4
        && mac.split(':').count() == 6
    {
        return format!("{priority}.ID");
    }
    if word.starts_with("fe80::") {
        return "FE80".to_owned();
    }
    let is_timer = (before.ends_with("_timer") || before == "idle_time") && word.contains('.');
    let is_age = matches!(before, "expires" | "valid_lft" | "preferred_lft" | "used")
        && word.starts_with(|c: char| c.is_ascii_digit());
    if is_timer || is_age {
        return "TIME".to_owned();
    }
    let is_age = matches!(
        before,
        "valid_life_time" | "preferred_life_time" | "age" | "confirmed" | "updated"
    );
    if is_age && word != "4294967295" {
        return "TIME".to_owned();
    }
    word.to_owned()
}

/// Tells whether a word is a hardware address that the kernel made up: those of tests begin 02:00.
fn is_random_mac(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    let is_byte = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.len() == 6
        && parts.iter().all(is_byte)
        && u8::from_str_radix(parts[0], 16).is_ok_and(|first| first & 3 == 2)
        && !word.starts_with("02:00")
}
