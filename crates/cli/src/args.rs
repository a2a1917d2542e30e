//! What can be typed: the one definition of each command and flag.

mod generate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use vnet::model::{NsName, Packet};
use vnet::{LabName, confirm, keeper};

use crate::errors::EXIT_VNET_FAILED;
pub(crate) use generate::{Generate, Routing, Shape};

const AFTER_HELP: &str = "\
Exit codes:
  0  yes, done
  1  no, it differs (plan, ping, why, check, test), or somebody is still inside (down)
  2  usage or a bad file; nothing was touched
  3  the environment: a privilege or a kernel feature is missing
  4  the operation failed
  exec, shell and `up -- CMD` pass on the code of what they ran; their own failures are
  125 (vnet failed), 126 (can't be executed), 127 (not found)

Environment:
  VNET_LAB        the lab that exec, shell, ping and show look into, where neither -l nor -f
                  names one; set for programs in a lab
  VNET_STATE_DIR  where labs are kept; by default /run/vnet for root, else
                  $XDG_RUNTIME_DIR/vnet, else /tmp/vnet-UID
  NO_COLOR        no colours, as with --color never";

/// Builds virtual networks on Linux from one file, and keeps them as it says.
#[derive(Debug, Parser)]
#[command(name = "vnet", version, after_long_help = AFTER_HELP, max_term_width = 100)]
#[command(disable_help_subcommand = true, propagate_version = false, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options that may stand before or after the command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Reads the topology from FILE, `-` for stdin [default: vnet.yaml here]
    #[arg(short, long = "file", value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Uses LAB as the lab's name instead of the file's, or picks a lab that is up
    #[arg(short, long, value_name = "LAB", global = true)]
    pub(crate) lab: Option<LabName>,
    /// Overrides a variable of the file's `vars:`
    #[arg(long = "var", value_name = "NAME=VALUE", global = true, value_parser = var)]
    pub(crate) vars: Vec<(String, String)>,
    /// Prints JSON on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours: `auto` is on a terminal
    #[arg(long, value_name = "WHEN", global = true, default_value_t, value_enum)]
    pub(crate) color: Color,
    /// Prints less: no summary, no notes
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Prints each step that is done
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Fails at once where another process is changing the lab
    #[arg(long, global = true)]
    pub(crate) no_wait: bool,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Builds the lab, or changes what differs from the file
    ///
    /// Afterwards everything is as the file says, or as it was before. With a command after `--`, the
    /// lab exists only as long as that runs.
    Up(Up),
    /// Keeps a change that goes back by itself (`up --confirm`)
    Confirm(Confirm),
    /// Takes the lab down
    ///
    /// Ends what vnet started in it and removes all that it made, and nothing else. It needs no file
    /// when -l names the lab, and puts right what a crash has left.
    Down(Down),
    /// Shows what `up` would do, and touches nothing
    ///
    /// Exits with 1 when something differs.
    Plan(Plan),
    /// Tells what differs from what `up` was told, as it happens
    ///
    /// Each difference is told as `vnet plan` tells it: by what would mend it. Runs until the lab is
    /// taken down, or until it is interrupted. With --json each line is an object of its own.
    Watch(Watch),
    /// Prints the file fully resolved: names, addresses and routes written out
    Config(FileArg),
    /// Writes a file of what exists, whoever made it
    ///
    /// Reads the pinned namespaces, the cables between them, bridges, addresses and routes. What the
    /// file can't say is named on stderr. `vnet adopt` makes what exists the lab's.
    Snapshot(Snapshot),
    /// Makes the lab's what exists, such as what a script made
    ///
    /// Marks the namespaces that the file names as the lab's, and changes nothing else. Without --yes it
    /// shows what that means, and exits with 1.
    Adopt(Adopt),
    /// Lists the labs that are up
    Ls,
    /// Shows what exists: nodes, interfaces, addresses
    ///
    /// With a node, its routes too. Says what differs from what `up` was told.
    Show(Show),
    /// Runs a program in a node
    ///
    /// With the node's network, its name, and an /etc/hosts that knows all nodes. A range (`r1..3`) or
    /// a segment's name runs it in one node after the other.
    Exec(Exec),
    /// Starts a shell in a node
    ///
    /// The shell is $SHELL, else /bin/sh. Without a node, and as an ordinary user: in the lab's own
    /// host, where `ip netns` sees the lab.
    Shell(Shell),
    /// Asks who reaches whom
    ///
    /// By echo requests to the first address of each family that both have. Without A: from each node
    /// to each other node. With A: from A to each other node. Exits with 1 when anything fails.
    Ping(Ping),
    /// Explains why A can't reach B, and what would mend it
    ///
    /// Follows a packet hop by hop, forth and back, through what exists, and asks the kernel by an
    /// echo request or a connection too. Exits with 1 when B is not reached, with 3 when it can't be told.
    Why(Why),
    /// Looks for what is probably not meant in the file
    ///
    /// Exits with 1 when there is any. `vnet explain CODE` says more, `allow: [ CODE ]` in the file
    /// silences it.
    Check(FileArg),
    /// Tries whether the lab is as its file expects: `expect:`
    ///
    /// Compares the lab with the file, and tries each expectation by real packets. Those with a
    /// condition (`if r1--r2 is down`) are worked out on paper, or tried with --live. Exits with 1
    /// when one fails or the lab differs, with 3 when it can't be told.
    Test(Test),
    /// Explains a code of `why` or `check`
    Explain(Explain),
    /// Draws the network: as a picture, or for Graphviz or Mermaid
    ///
    /// From the file; with --live, or where -l picks a lab without a file, from what exists: with the
    /// addresses that are there, and what is missing or down in red.
    Graph(Graph),
    /// Writes a file of a network that has a shape and a size
    ///
    /// To stdout: `vnet generate ring 10 > vnet.yaml`. Each link has a /31, and each router an address of
    /// its own on `lo` where routes lead there.
    Generate(Generate),
    /// Does what iproute2's `ip` does: all words behind it are iproute2's
    #[command(disable_help_flag = true)]
    Ip(Ip),
    /// Does what iproute2's `bridge` does: all words behind it are iproute2's
    #[command(disable_help_flag = true)]
    Bridge(Ip),
    /// Prints the JSON schema of the file, for editors
    Schema,
    /// Prints shell completions
    ///
    /// For bash: `source <(vnet completions bash)`.
    Completions(Completions),
    /// Prints the man page
    ///
    /// To read it: `vnet man | man -l -`.
    Man(Man),
}

/// A file that may be named without `-f`.
#[derive(Debug, Default, Args)]
pub(crate) struct FileArg {
    /// The file; short for -f FILE
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) path: Option<PathBuf>,
}

/// The arguments of `vnet up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) file: FileArg,
    /// Goes back to what was before, unless `vnet confirm` comes within TIME (`30s`, `5m`)
    ///
    /// It goes back also if the terminal is closed, or this command is killed.
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "command")]
    pub(crate) confirm: Option<std::time::Duration>,
    /// A program to run while the lab is up; afterwards the lab is taken down, whatever happened
    #[arg(last = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
}

/// The arguments of `vnet confirm`.
#[derive(Debug, Args)]
pub(crate) struct Confirm {
    #[command(flatten)]
    pub(crate) file: FileArg,
    /// Goes back now instead
    #[arg(long)]
    pub(crate) revert: bool,
}

/// The arguments of `vnet down`.
#[derive(Debug, Args)]
pub(crate) struct Down {
    #[command(flatten)]
    pub(crate) file: FileArg,
    /// Takes down every lab of this user
    #[arg(long, conflicts_with_all = ["path", "file", "lab"])]
    pub(crate) all: bool,
    /// Goes on when programs that vnet did not start are still inside
    #[arg(long)]
    pub(crate) force: bool,
    /// Waits until the kernel has really removed everything
    #[arg(long)]
    pub(crate) wait: bool,
}

/// The arguments of `vnet plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) file: FileArg,
    /// Prints the steps as a shell script of iproute2's commands
    #[arg(long = "as", value_name = "FORM", value_enum)]
    pub(crate) form: Option<Form>,
}

/// The arguments of `vnet snapshot`.
#[derive(Debug, Args)]
pub(crate) struct Snapshot {
    /// Which namespaces: `*` stands for anything, `?` for one character
    #[arg(long, value_name = "GLOB", default_value = "*")]
    pub(crate) netns: String,
    /// The namespace of a process too, pinned or not (may be given several times)
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
}

/// The arguments of `vnet adopt`.
#[derive(Debug, Args)]
pub(crate) struct Adopt {
    #[command(flatten)]
    pub(crate) file: FileArg,
    /// Does it, where it is otherwise only shown
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// The arguments of `vnet watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Mends what differs
    #[arg(long)]
    pub(crate) repair: bool,
}

/// A form in which steps are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Ip,
}

/// The arguments of `vnet show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A node, a range such as `r1..3`, or a segment
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<String>,
}

/// The arguments of `vnet exec`.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Runs as you instead of as root of the node
    #[arg(long)]
    pub(crate) as_me: bool,
    /// A node, a range such as `r1..3`, or a segment for all its members
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    /// The program and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        value_hint = ValueHint::CommandWithArguments
    )]
    pub(crate) command: Vec<OsString>,
}

/// The arguments of `vnet shell`.
#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// Runs as you instead of as root of the node
    #[arg(long)]
    pub(crate) as_me: bool,
    /// The node
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<String>,
}

/// The arguments of `why`.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Who asks: a node, an address, `node:interface`, `host`, or a namespace of --netns or --pid
    #[arg(value_name = "A")]
    pub(crate) from: String,
    /// Who is asked: as A
    #[arg(value_name = "B")]
    pub(crate) to: String,
    /// What is sent: tcp/80, udp/53 or icmp
    #[arg(value_name = "PACKET")]
    pub(crate) packet: Option<Packet>,
    /// Looks at this namespace too, which is none of the lab's: A or B may have its name
    #[arg(long, value_name = "NAME", conflicts_with = "on_paper")]
    pub(crate) netns: Vec<NsName>,
    /// Looks at the namespace of this process too: A or B may be its number
    #[arg(long, value_name = "PID", conflicts_with = "on_paper")]
    pub(crate) pid: Vec<u32>,
    /// Sends from this address of A's
    #[arg(long = "from", value_name = "ADDR")]
    pub(crate) source: Option<std::net::IpAddr>,
    /// Sends packets of this length, which must not be fragmented
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(28..=65535))]
    pub(crate) size: Option<u32>,
    /// Asks about IPv6 addresses
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// Looks at what the file says, and at no kernel
    #[arg(
        long = "static",
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        value_hint = ValueHint::FilePath
    )]
    pub(crate) on_paper: Option<Option<PathBuf>>,
    /// Sends no packet
    #[arg(long)]
    pub(crate) no_probe: bool,
    /// Has the kernel tell what drops the packet in others' namespaces too
    ///
    /// In the lab's own it always does. That takes a table of nftables in each, which is gone afterwards.
    #[arg(long, conflicts_with_all = ["no_probe", "on_paper"])]
    pub(crate) trace_foreign: bool,
}

/// The arguments of `test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) file: FileArg,
    /// Really cuts links where an expectation has a condition, and puts them back
    #[arg(long)]
    pub(crate) live: bool,
    /// Works all out on paper from what the file says, and looks at no kernel
    #[arg(long = "static", conflicts_with = "live")]
    pub(crate) on_paper: bool,
    /// How long an answer may take, in seconds
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) timeout: std::time::Duration,
    /// Writes the results into FILE as JUnit XML too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) junit: Option<PathBuf>,
    /// Prints the results as TAP
    #[arg(long, conflicts_with = "json")]
    pub(crate) tap: bool,
}

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code; all of them where not given
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}

/// The arguments of `vnet ping`.
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// Who asks: a node, a range such as `r1..3`, or a segment for all its members
    #[arg(value_name = "A")]
    pub(crate) from: Option<String>,
    /// Who is asked: as A, or an address
    #[arg(value_name = "B")]
    pub(crate) to: Option<String>,
    /// Asks IPv4 addresses only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Asks IPv6 addresses only
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// How long an answer may take, in seconds
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) timeout: std::time::Duration,
}

/// The arguments of `vnet ip` and `vnet bridge`.
#[derive(Debug, Args)]
pub(crate) struct Ip {
    /// Options, object and command as in ip(8)
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}

/// The arguments of `vnet graph`.
#[derive(Debug, Args)]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) file: FileArg,
    /// Draws what exists instead of what the file says
    #[arg(long)]
    pub(crate) live: bool,
    /// What to write [default: by the name behind -o, else svg]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<Drawn>,
    /// Writes to FILE instead of stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// A form of a drawn network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drawn {
    /// A picture, for browsers
    Svg,
    /// Graphviz's language
    Dot,
    /// A flowchart for Markdown
    Mermaid,
}

/// The arguments of `vnet completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// The arguments of `vnet man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Writes a page for each command into DIR instead
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

impl Command {
    /// Tells whether the exit code is that of a program which it runs.
    pub(crate) fn passes_code(&self) -> bool {
        match self {
            Self::Exec(_) | Self::Shell(_) => true,
            Self::Up(up) => !up.command.is_empty(),
            _ => false,
        }
    }
}

/// Something that vnet starts itself as, for the labs of ordinary users. No person types it, so it is
/// neither in the help nor in completions.
#[derive(Debug)]
pub(crate) enum Inner {
    /// Keeps the lab alive.
    Hold(LabName),
    /// Leads out of the lab by this program, and into it by these ports.
    LeadOut(LabName, PathBuf, Vec<String>),
    /// Works in the lab for a program with threads.
    Work(LabName),
    /// Waits for the confirmation of a change of a lab, whose state is in this folder.
    Confirm(LabName, PathBuf, String),
}

/// Reads the command line of what vnet starts itself as.
pub(crate) fn inner() -> Option<Inner> {
    let mut words = std::env::args_os().skip(1);
    let mut word = || words.next()?.into_string().ok();
    let (inner, lab) = (word()?, word());
    let lab = || LabName::new(lab.as_deref()?).ok();
    match inner.as_str() {
        keeper::HOLD => Some(Inner::Hold(lab()?)),
        keeper::LEAD_OUT => {
            let (lab, program) = (lab()?, words.next()?.into());
            let ports = words.map(OsString::into_string).collect::<Result<_, _>>().ok()?;
            Some(Inner::LeadOut(lab, program, ports))
        }
        keeper::WORK => Some(Inner::Work(lab()?)),
        confirm::CONFIRM => {
            let lab = lab()?;
            let folder = words.next()?.into();
            Some(Inner::Confirm(lab, folder, words.next()?.into_string().ok()?))
        }
        _ => None,
    }
}

/// Reads the command line. Help, and what is wrong with it, is printed; the error is the exit code.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // Nobody is left to be told that nobody could be told.
        let _ = error.print();
        match error.exit_code() {
            0 => ExitCode::SUCCESS,
            _ if means_to_run_a_program() => ExitCode::from(EXIT_VNET_FAILED),
            code => ExitCode::from(u8::try_from(code).unwrap_or(2)),
        }
    })
}

/// Tells whether a command line that could not be read was meant to run a program: whoever waits
/// for the program's exit code must not take ours for it.
fn means_to_run_a_program() -> bool {
    let mut words = std::env::args_os().skip(1);
    let command = Cli::command();
    let is_command =
        |word: &OsString| word.to_str().is_some_and(|word| command.find_subcommand(word).is_some());
    match words.by_ref().find(is_command).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("exec" | "shell") => true,
        Some("up") => words.any(|word| word == "--"),
        _ => false,
    }
}

fn var(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    const HELP: &str = "write it as 30s, 5m or 1h, up to 24h";
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let ms: u64 = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(HELP.into()),
    };
    let ms = digits.parse().ok().and_then(|number: u64| number.checked_mul(ms));
    ms.filter(|ms| (1..=24 * 3_600_000).contains(ms))
        .map(std::time::Duration::from_millis)
        .ok_or_else(|| HELP.into())
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=3600.0).contains(seconds));
    let seconds = seconds.ok_or("write it in seconds, such as 0.5, up to 3600")?;
    Ok(std::time::Duration::from_secs_f64(seconds))
}
