//! Reads a table of set-ups and command lines.

/// A set-up and what is run in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) title: String,
    pub(crate) is_sequence: bool,
    pub(crate) setup: Vec<String>,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) lines: Vec<Vec<String>>,
}

/// `+ a pair`: two interfaces, down, that make no addresses of their own.
const PAIR: [&str; 3] = [
    "link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02",
    "link set v0 addrgenmode none",
    "link set v1 addrgenmode none",
];

/// `+ two networks`: a pair that is up, and an address of both families at each end.
const NETWORKS: [&str; 7] = [
    "link set lo up",
    "link set v0 up",
    "link set v1 up",
    "addr add 10.0.0.1/24 dev v0",
    "addr add 10.0.1.1/24 dev v1",
    "addr add fd00::1/64 dev v0 nodad",
    "addr add fd00:1::1/64 dev v1 nodad",
];

pub(crate) fn read(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (sign, rest) = line.split_at(1);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if matches!(sign, "=" | "~") {
            let (title, is_sequence) = (rest.to_owned(), sign == "~");
            blocks.push(Block { title, is_sequence, ..Block::default() });
            continue;
        }
        let block = blocks.last_mut().expect("a table begins with a set-up");
        match sign {
            "+" if rest == "a pair" => block.setup.extend(PAIR.map(str::to_owned)),
            "+" if rest == "two networks" => {
                block.setup.extend(PAIR.iter().chain(&NETWORKS).map(|line| (*line).to_owned()));
            }
            "+" => block.setup.push(rest.to_owned()),
            "@" => block.files.push((rest.to_owned(), String::new())),
            "|" => {
                let (_, text) = block.files.last_mut().expect("a line belongs to a file");
                text.push_str(rest);
                text.push('\n');
            }
            _ => block.lines.push(words(line)),
        }
    }
    blocks
}

/// Splits at spaces, but not within single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    // `.` stands for no words at all.
    words.retain(|word| word != ".");
    words
}
