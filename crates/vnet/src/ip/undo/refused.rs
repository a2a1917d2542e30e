//! What `--atomic` refuses, by name, before anything is done: what could not be taken back.

use vnet_iproute::ip::Object;
use vnet_iproute::ip::options::Language;

/// Names what a line would do that can't be taken back.
pub(in crate::ip) fn cannot_be_undone(
    language: Language,
    words: &[String],
) -> Option<&'static str> {
    let (first, rest) = words.split_first()?;
    let verb = rest.first().map_or("", String::as_str);
    let is = |full: &str| !verb.is_empty() && full.starts_with(verb);
    if verb.is_empty() || is("show") || is("list") || is("lst") || is("help") {
        // `link s` is `link set`.
        if !(verb == "s" && "link".starts_with(first.as_str())) {
            return None;
        }
    }
    match language {
        Language::Bridge => of_bridge(first, rest),
        Language::Ip => of_ip(Object::read(first).ok()?, verb, rest),
    }
}

fn of_ip(object: Object, verb: &str, words: &[String]) -> Option<&'static str> {
    let has = |word: &str| words.iter().any(|other| other == word);
    let is = |full: &str| full.starts_with(verb);
    match object {
        Object::Netns => Some("`ip netns`"),
        Object::Maddress => Some("`ip maddress`"),
        Object::Tuntap if is("delete") => Some("`ip tuntap delete`"),
        // Only permanent entries are configuration; the kernel changes the others at any time.
        Object::Neighbour
            if words.windows(2).any(|pair| pair[0] == "nud" && pair[1] != "permanent") =>
        {
            Some("`ip neighbour … nud` but for `nud permanent`,")
        }
        Object::Link if is("delete") => Some("`ip link delete`"),
        Object::Link if is("add") => leaves_nothing_here(words)
            .then_some("`ip link add … netns` that leaves nothing in this namespace,"),
        Object::Link if has("netns") => Some("`ip link set … netns`"),
        Object::Link if has("carrier") => Some("`ip link set … carrier`"),
        Object::Link if has("state") => Some("`ip link set … state`"),
        _ => None,
    }
}

/// Tells whether a new link has no end in this namespace, by which it could be found again. One
/// end takes the other with it.
fn leaves_nothing_here(words: &[String]) -> bool {
    let mut ends = words.split(|word| word == "peer");
    ends.all(|end| end.iter().any(|word| word == "netns"))
}

fn of_bridge(object: &str, words: &[String]) -> Option<&'static str> {
    let is = |full: &str| full.starts_with(object);
    match object {
        // In the order in which iproute2 compares (bridge/bridge.c).
        _ if is("link") => {
            words.iter().any(|word| word == "state").then_some("`bridge link set … state`")
        }
        _ if is("fdb") => (words[0] != "get").then_some("a change of `bridge fdb`"),
        _ if is("mdb") => Some("a change of `bridge mdb`"),
        _ if is("vlan") => Some("a change of `bridge vlan`"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_elsewhere_is_known_by_its_words() {
        for (language, line, is_refused) in [
            (Language::Ip, "link add a type veth peer name b netns n", false),
            (Language::Ip, "link add a netns n type veth peer name b", false),
            (Language::Ip, "link add a netns n type veth peer name b netns m", true),
            (Language::Ip, "l a a netns n type bridge", true),
            (Language::Ip, "link s a netns n", true),
            (Language::Ip, "link show", false),
            (Language::Ip, "link d a", true),
            (Language::Ip, "neigh add 10.0.0.9 lladdr 02:00:00:00:00:01 dev a nud stale", true),
            (Language::Ip, "neigh add 10.0.0.9 lladdr 02:00:00:00:00:01 dev a", false),
            (Language::Bridge, "vlan add vid 5 dev a", true),
            (Language::Bridge, "v show", false),
            (Language::Bridge, "fdb get 02:00:00:00:00:01 br br0", false),
            (Language::Bridge, "link set dev a cost 5", false),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(cannot_be_undone(language, &words).is_some(), is_refused, "{line}");
        }
    }
}
