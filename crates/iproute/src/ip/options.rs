//! The options before the object: `ip OPTIONS OBJECT …` (`ip(8)`).

use super::failure::Failure;
use super::words::{Family, Read, abbreviates};

/// What the options say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The family: `-4`, `-6`, `-0`, `-family`.
    pub family: Family,
    /// How often `-statistics` was given.
    pub stats: u8,
    /// Whether `-details` was given.
    pub details: bool,
    /// Whether each record is on one line.
    pub oneline: bool,
    /// Whether output is brief.
    pub brief: bool,
    /// Whether output is JSON.
    pub json: bool,
    /// Whether JSON is indented.
    pub pretty: bool,
    /// Whether numbers stay numbers (`-Numeric`).
    pub numeric: bool,
    /// Whether addresses are shown by the names of their hosts, where they have one.
    pub resolve: bool,
    /// Whether output is coloured.
    pub color: Color,
    /// The namespace to work in.
    pub netns: Option<String>,
    /// The file of commands.
    pub batch: Option<String>,
    /// Whether a batch goes on after a failure.
    pub force: bool,
    /// Whether a batch is done as a whole or not at all. Not iproute2's.
    pub atomic: bool,
    /// Whether `netns` commands mean all namespaces.
    pub all: bool,
    /// Whether events are told with their time.
    pub timestamp: Stamp,
    /// Whether `bridge` shows ranges of VLANs as ranges.
    pub compress_vlans: bool,
    /// Whose words these are.
    pub language: Language,
    /// Whether nothing but the version is wanted.
    pub version: bool,
    /// Whether nothing but help is wanted.
    pub help: bool,
}

/// Whose words are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// Those of `ip`.
    #[default]
    Ip,
    /// Those of `bridge`.
    Bridge,
}

/// How the time of an event is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stamp {
    /// Not at all.
    #[default]
    None,
    /// On a line of its own.
    Long,
    /// Before it on its line.
    Short,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Color {
    /// Never.
    #[default]
    Never,
    /// On a terminal.
    Auto,
    /// Always.
    Always,
}

impl Options {
    /// Reads the options; returns them with the number of words that they take.
    ///
    /// # Errors
    /// When one is unknown, lacks its value, or is not covered.
    pub fn read(words: &[String], language: Language) -> Read<(Self, usize)> {
        let mut options = Self { language, ..Self::default() };
        let mut next = 0;
        while let Some(word) = words.get(next) {
            if word == "--" {
                return Ok((options, next + 1));
            }
            if !word.starts_with('-') {
                break;
            }
            let option = if word.starts_with("--") { &word[1..] } else { word.as_str() };
            next += 1;
            let mut value = || {
                next += 1;
                let value = words.get(next - 1).cloned();
                value.ok_or_else(|| Failure::incomplete().at(next - 2))
            };
            let read = match language {
                Language::Ip => options.read_one(word, option, &mut value),
                Language::Bridge => options.read_one_of_bridge(word, option, &mut value),
            };
            read.map_err(|failure| failure.at(next - 1))?;
        }
        Ok((options, next))
    }

    fn read_one(
        &mut self,
        word: &str,
        option: &str,
        value: &mut dyn FnMut() -> Read<String>,
    ) -> Read<()> {
        let is = |keyword: &str| abbreviates(option, keyword);
        match option {
            "-4" => self.family = Family::Inet,
            "-6" => self.family = Family::Inet6,
            "-0" => self.family = Family::Link,
            "-M" | "-B" => return Err(Failure::not_covered(&format!("the option {word}"))),
            _ if word == "--atomic" => self.atomic = true,
            _ if is("-loops") => drop(value()?),
            _ if is("-family") => self.family = family(&value()?)?,
            _ if is("-human") || is("-human-readable") || is("-iec") => {
                return Err(Failure::not_covered("the option -human"));
            }
            _ if is("-stats") || is("-statistics") => self.stats = self.stats.saturating_add(1),
            _ if is("-details") => self.details = true,
            _ if is("-resolve") => self.resolve = true,
            _ if is("-oneline") => self.oneline = true,
            _ if is("-timestamp") => self.timestamp = Stamp::Long,
            _ if is("-tshort") => self.timestamp = Stamp::Short,
            _ if is("-Version") => self.version = true,
            _ if is("-force") => self.force = true,
            _ if is("-batch") => self.batch = Some(value()?),
            _ if is("-brief") => self.brief = true,
            _ if is("-json") => self.json = true,
            // The size of a buffer that is large enough here.
            _ if is("-rcvbuf") => {
                let size = value()?;
                if super::words::number(&size).is_none() {
                    return Err(Failure::parser(format!("Invalid rcvbuf size '{size}'")));
                }
            }
            _ if self.read_color(option) => {}
            _ if is("-help") => self.help = true,
            _ if is("-netns") => self.netns = Some(value()?),
            _ if is("-Numeric") => self.numeric = true,
            _ if is("-all") => self.all = true,
            _ if is("-echo") => return Err(Failure::not_covered("the option -echo")),
            _ if is("-pretty") => self.pretty = true,
            _ => {
                let line = format!("Option \"{option}\" is unknown, try \"ip -help\".");
                return Err(Failure::parser(line));
            }
        }
        Ok(())
    }

    fn read_one_of_bridge(
        &mut self,
        word: &str,
        option: &str,
        value: &mut dyn FnMut() -> Read<String>,
    ) -> Read<()> {
        let is = |keyword: &str| abbreviates(option, keyword);
        match option {
            "-4" => self.family = Family::Inet,
            "-6" => self.family = Family::Inet6,
            _ if word == "--atomic" => self.atomic = true,
            _ if is("-help") => self.help = true,
            _ if is("-Version") => self.version = true,
            _ if is("-stats") || is("-statistics") => self.stats = self.stats.saturating_add(1),
            _ if is("-details") => self.details = true,
            _ if is("-oneline") => self.oneline = true,
            _ if is("-timestamp") => self.timestamp = Stamp::Long,
            _ if is("-family") => {
                self.family = match value()?.as_str() {
                    "inet" => Family::Inet,
                    "inet6" => Family::Inet6,
                    word => return Err(Failure::invalid("invalid protocol family", word)),
                }
            }
            _ if is("-netns") => self.netns = Some(value()?),
            _ if self.read_color(option) => {}
            _ if is("-compressvlans") => self.compress_vlans = true,
            _ if is("-force") => self.force = true,
            _ if is("-json") => self.json = true,
            _ if is("-pretty") => self.pretty = true,
            _ if is("-batch") => self.batch = Some(value()?),
            _ => {
                let line = format!("Option \"{option}\" is unknown, try \"bridge help\".");
                return Err(Failure::parser(line));
            }
        }
        Ok(())
    }

    /// Reads `-color[=WHEN]` (`matches_color`, lib/color.c).
    fn read_color(&mut self, option: &str) -> bool {
        let (name, when) = option.split_once('=').unwrap_or((option, "always"));
        if !abbreviates(name, "-color") {
            return false;
        }
        self.color = match when {
            "always" => Color::Always,
            "auto" => Color::Auto,
            "never" => Color::Never,
            _ => return false,
        };
        true
    }
}

fn family(word: &str) -> Read<Family> {
    match word {
        "inet" => Ok(Family::Inet),
        "inet6" => Ok(Family::Inet6),
        "link" => Ok(Family::Link),
        "mpls" | "bridge" => Err(Failure::not_covered(&format!("the family {word}"))),
        _ => Err(Failure::invalid("invalid protocol family", word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Read<(Options, usize)> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::read(&words, Language::Ip)
    }

    #[test]
    fn options_end_at_the_object() {
        let (options, taken) = read("-n vnet0 -br -d addr -j").unwrap();
        assert_eq!((options.netns.as_deref(), taken), (Some("vnet0"), 4));
        assert!(options.brief && options.details && !options.json);
    }

    #[test]
    fn an_unknown_option_is_named() {
        let failure = read("-zz").unwrap_err();
        assert_eq!(failure.line, "Option \"-zz\" is unknown, try \"ip -help\".");
        assert_eq!(failure.code, 255);
    }
}
