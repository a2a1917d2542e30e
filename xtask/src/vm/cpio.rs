//! The archive format of an initramfs ("newc"): cpio(5), and Documentation/driver-api/early-userspace/buffer-format.rst.
use std::io::{self, Write};

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Folder,
    File { content: Vec<u8>, executable: bool },
    Link { target: String },
}

/// Writes one entry; `path` has no leading slash, and the folders above it have been written before.
pub(super) fn write_entry(to: &mut impl Write, path: &str, node: &Node) -> io::Result<()> {
    let (mode, content): (u32, &[u8]) = match node {
        Node::Folder => (0o040_755, &[]),
        Node::File { content, executable: true } => (0o100_755, content),
        Node::File { content, executable: false } => (0o100_644, content),
        Node::Link { target } => (0o120_777, target.as_bytes()),
    };
    write_raw(to, path, mode, content)
}

/// Ends the archive.
pub(super) fn write_end(to: &mut impl Write) -> io::Result<()> {
    write_raw(to, "TRAILER!!!", 0, &[])
}

fn write_raw(to: &mut impl Write, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let size = u32::try_from(content.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let name_size = path.len() as u32 + 1;
    // The time is one day in 1970 and the inode 0: the same files make the same archive, and nothing is a hard link.
    write!(to, "070701{:08X}{mode:08X}{:08X}{:08X}{:08X}{:08X}{size:08X}", 0, 0, 0, 1, 86400)?;
    write!(to, "{:08X}{:08X}{:08X}{:08X}{name_size:08X}{:08X}", 0, 0, 0, 0, 0)?;
    to.write_all(path.as_bytes())?;
    to.write_all(&[0])?;
    pad(to, 110 + path.len() + 1)?;
    to.write_all(content)?;
    pad(to, content.len())
}

fn pad(to: &mut impl Write, length: usize) -> io::Result<()> {
    to.write_all(&[0; 3][..length.next_multiple_of(4) - length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_what_cpio_writes() {
        let mut bytes = Vec::new();
        let node = Node::File { content: b"hello".to_vec(), executable: true };
        write_entry(&mut bytes, "bin/a", &node).unwrap();
        let header = &bytes[..110];
        assert_eq!(&header[..6], b"070701");
        assert_eq!(&header[14..22], b"000081ED");
        assert_eq!(&header[54..62], b"00000005");
        assert_eq!(&header[94..102], b"00000006");
        assert_eq!(&bytes[110..], b"bin/a\0hello\0\0\0");
    }
}
