//! The folder of a lab's state: lock, record, and the files that its nodes see.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};
use vnet_model::LabName;

use crate::cancel::Cancel;
use crate::confirm::Pending;
use crate::error::Error;
use crate::record::{Record, Written};

const LOCK: &str = "lock";
const RECORD: &str = "lab.json";
const PENDING: &str = "pending.json";

/// A lab's folder. It need not exist.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    lab: LabName,
    path: PathBuf,
}

/// Nobody else needs to read what a lab is told to be, or to lock it: whoever can open a file can lock
/// it (`flock(2)`).
const PRIVATE: u32 = 0o600;

/// What is shown in the nodes, to all users there.
const PUBLIC: u32 = 0o644;

/// How often somebody who can be called off looks whether the lock is free.
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// How often, and after how long, somebody who does not wait asks again.
const ASKED_MAX: usize = 3;
const ASK_INTERVAL: Duration = Duration::from_millis(1);

/// The right to change a lab. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// The inode, time and length of a record: a new one is a new file.
pub(crate) type Stamp = (u64, i64, i64, u64);

impl Lock {
    /// Returns a descriptor that keeps the lock as long as it is open, in another process too.
    pub(crate) fn share(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }
}

impl StateDir {
    pub(crate) fn new(root: &Path, lab: &LabName) -> Self {
        Self { lab: lab.clone(), path: root.join(lab.as_str()) }
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Tells whether the folder exists.
    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Makes the folder where needed, and takes the lock.
    pub(crate) fn lock(&self, wait: bool, cancel: Option<&Cancel>) -> Result<Lock, Error> {
        loop {
            self.make()?;
            let path = self.file(LOCK);
            let mut how = options();
            how.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
            let file = match how.open(&path) {
                Ok(file) => file,
                // Whoever took the lab down has removed the folder meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(self.failed("open", &path)(error)),
            };
            self.take(&file, wait, cancel, ASKED_MAX)?;
            // Whoever held it may have removed it meanwhile, with the lab.
            if is_still_there(&file, &path) {
                // For people only: the lock itself is what counts.
                let _ = file.set_len(0).and_then(|()| writeln!(&file, "{}", std::process::id()));
                return Ok(Lock { file });
            }
        }
    }

    /// Tells whether another process has the lock, and which, where it has said so.
    pub(crate) fn locked_by(&self) -> Option<Option<u32>> {
        let mut file = options().read(true).open(self.file(LOCK)).ok()?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                Some(text.trim().parse().ok())
            }
            _ => None,
        }
    }

    fn take(
        &self,
        file: &File,
        wait: bool,
        cancel: Option<&Cancel>,
        tries: usize,
    ) -> Result<(), Error> {
        let failed = |errno: rustix::io::Errno| self.failed("lock", &self.file(LOCK))(errno.into());
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            // A signal's handler does not wake up whoever waits for a lock.
            Err(rustix::io::Errno::WOULDBLOCK) if wait && cancel.is_some() => {
                Cancel::check(cancel)?;
                std::thread::sleep(LOCK_INTERVAL);
                self.take(file, wait, cancel, tries)
            }
            Err(rustix::io::Errno::WOULDBLOCK) if wait => {
                let operation = FlockOperation::LockExclusive;
                rustix::io::retry_on_intr(|| rustix::fs::flock(file, operation)).map_err(failed)
            }
            // Whoever only asks whether somebody has it, has it for an instant.
            Err(rustix::io::Errno::WOULDBLOCK) if tries > 0 => {
                std::thread::sleep(ASK_INTERVAL);
                self.take(file, wait, cancel, tries - 1)
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let mut file = file;
                let _ = file.read_to_string(&mut text);
                Err(Error::Locked { lab: self.lab.clone(), pid: text.trim().parse().ok() })
            }
            Err(errno) => Err(failed(errno)),
        }
    }

    fn make(&self) -> Result<(), Error> {
        if let Some(root) = self.path.parent() {
            match std::fs::DirBuilder::new().mode(0o755).recursive(true).create(root) {
                Ok(()) => self.check(root)?,
                Err(error) => return Err(self.failed("make", root)(error)),
            }
        }
        match std::fs::DirBuilder::new().mode(0o755).create(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                match self.check(&self.path) {
                    // Whoever took the lab down has removed the folder meanwhile.
                    Err(Error::StateDir { source, .. }) if source.kind() == ErrorKind::NotFound => {
                        self.make()
                    }
                    checked => checked,
                }
            }
            Err(error) => Err(self.failed("make", &self.path)(error)),
        }
    }

    /// Checks that a folder is one, and this user's alone: else somebody could swap what is in it.
    fn check(&self, path: &Path) -> Result<(), Error> {
        let found = std::fs::symlink_metadata(path).map_err(self.failed("look at", path))?;
        match what_is_unsafe(&found, found.is_dir(), "is not a folder") {
            None => Ok(()),
            Some(reason) => Err(Error::UnsafeStateDir { path: path.to_owned(), reason }),
        }
    }

    /// Tells whether there is a record, be it one that can't be used.
    pub(crate) fn has_record(&self) -> bool {
        self.file(RECORD).exists()
    }

    /// Returns what tells the record from another one that was written later.
    pub(crate) fn record_stamp(&self) -> Option<Stamp> {
        self.stamp(RECORD)
    }

    /// Returns what tells the note of a change that waits from another one.
    pub(crate) fn pending_stamp(&self) -> Option<Stamp> {
        self.stamp(PENDING)
    }

    fn stamp(&self, name: &str) -> Option<Stamp> {
        let found = std::fs::symlink_metadata(self.file(name)).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    }

    /// Reads the record; `None` where there is none that can be used.
    pub(crate) fn record(&self) -> Result<Option<Record>, Error> {
        match self.read(RECORD)? {
            Some(text) => Ok(Record::parse(&text)),
            None => Ok(None),
        }
    }

    /// Reads the record, which mostly says what is wanted.
    pub(crate) fn record_as(&self, wanted: &Written<'_>) -> Result<Option<Record>, Error> {
        Ok(self.read(RECORD)?.and_then(|text| wanted.read(&text)))
    }

    /// Reads the note of a change that waits for its confirmation; `None` where there is none that
    /// can be used.
    pub(crate) fn pending(&self) -> Result<Option<Pending>, Error> {
        Ok(self.read(PENDING)?.and_then(|text| Pending::parse(&text)))
    }

    /// Reads the note of this change, if it is that which waits.
    pub(crate) fn pending_of(&self, id: &str) -> Result<Option<Pending>, Error> {
        Ok(self.pending()?.filter(|pending| pending.id == id))
    }

    /// Writes the note of a change that waits, and waits until it is on disk.
    pub(crate) fn write_pending(&self, pending: &Pending) -> Result<(), Error> {
        self.replace(PENDING, &pending.to_text(), true)
    }

    /// Notes that going back has failed.
    pub(crate) fn note_failure(&self, id: &str, failure: &str) -> Result<(), Error> {
        match self.pending_of(id)? {
            Some(mut pending) => {
                pending.failure = Some(failure.to_owned());
                self.write_pending(&pending)
            }
            None => Ok(()),
        }
    }

    /// Removes the note of a change that waits: it stays, or is taken back.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        let path = self.file(PENDING);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(self.failed("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.file(name);
        let mut file = match options().read(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", &path)(error)),
        };
        // What was opened is looked at, not what has the name by now: somebody else's words about
        // what a lab is to be count for nothing.
        let found = file.metadata().map_err(self.failed("look at", &path))?;
        if let Some(reason) = what_is_unsafe(&found, found.is_file(), "is not a file") {
            return Err(Error::UnsafeStateDir { path, reason });
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(self.failed("read", &path))?;
        Ok(Some(text))
    }

    /// Writes the record, and waits until it is on disk where it must outlast a crash.
    pub(crate) fn write_record(&self, record: &Record, sync: bool) -> Result<(), Error> {
        self.write_record_text(&record.to_text(), sync)
    }

    /// Writes the record that is written as text already.
    pub(crate) fn write_record_text(&self, text: &[u8], sync: bool) -> Result<(), Error> {
        self.replace(RECORD, text, sync)
    }

    /// Replaces a file whole: whoever reads sees the old or the new one.
    pub(crate) fn replace(&self, name: &str, text: &[u8], sync: bool) -> Result<(), Error> {
        let path = self.file(name);
        let mode =
            if matches!(name, RECORD | PENDING | crate::keys::FILE) { PRIVATE } else { PUBLIC };
        let new = self.file(&format!("{name}.new"));
        let write = || {
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = options().write(true).create_new(true).mode(mode).open(&new)?;
            file.write_all(text)?;
            if sync {
                file.sync_all()?;
            }
            std::fs::rename(&new, &path)?;
            if sync { File::open(&self.path)?.sync_all() } else { Ok(()) }
        };
        write().map_err(self.failed("write", &path))
    }

    /// Removes the folder with all that vnet puts into it, and so gives the lock up. Where that was
    /// done before, the folder may be somebody else's by now, and stays.
    pub(crate) fn remove(&self, lock: &Lock) -> Result<(), Error> {
        if !is_still_there(&lock.file, &self.file(LOCK)) {
            return Ok(());
        }
        self.clear()?;
        let lock = self.file(LOCK);
        std::fs::remove_file(&lock).map_err(self.failed("remove", &lock))?;
        match std::fs::remove_dir(&self.path) {
            Ok(()) => Ok(()),
            // Another process has begun to bring the lab up again, or has taken it down since.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) =>
            {
                Ok(())
            }
            Err(error) => Err(self.failed("remove", &self.path)(error)),
        }
    }

    /// Removes all that is in the folder but the lock, as long as which nobody else begins.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.failed("read", &self.path)(error)),
        };
        let names = entries.flatten().map(|entry| entry.path());
        for path in names.filter(|path| !path.ends_with(LOCK)) {
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(self.failed("remove", &path)(error)),
            }
        }
        Ok(())
    }

    fn failed(&self, doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::StateDir { doing, path: path.clone(), source }
    }
}

/// Says why something can't be trusted: it is something else, or another user's.
fn what_is_unsafe(
    found: &std::fs::Metadata,
    is_right: bool,
    what_else: &'static str,
) -> Option<&'static str> {
    match () {
        () if !is_right => Some(what_else),
        () if found.uid() != rustix::process::geteuid().as_raw() => Some("belongs to another user"),
        () if found.mode() & 0o022 != 0 => {
            Some("can be written to by others: its mode must not be wider than 755")
        }
        () => None,
    }
}

/// Files are opened as what they are, never through a link.
fn options() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    options
}

fn is_still_there(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(held), Ok(found)) => held.dev() == found.dev() && held.ino() == found.ino(),
        _ => false,
    }
}
