//! What was typed, made into what is meant: which file, which lab, whose state.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use vnet::file::{File, SOURCE_MAX_BYTES, Source};
use vnet::{Cancel, Desired, Lab, LabName, Settings, exec::ENV_LAB};

use crate::args::{FileArg, Global};
use crate::environment::Environment;
use crate::errors::{self, Failure};
use crate::printer::Printer;

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "vnet.yaml";

/// What every command needs.
#[derive(Debug)]
pub(crate) struct Context<'p> {
    pub(crate) global: Global,
    pub(crate) environment: Environment,
    pub(crate) printer: &'p Printer,
}

impl Context<'_> {
    /// Says where and how labs are kept.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let settings = self.environment.settings(&self.environment.state_dir)?;
        Ok(Settings { wait: !self.global.no_wait, ..settings })
    }

    /// Opens a lab. Until then this process has one thread only.
    pub(crate) fn open(&self, name: &LabName) -> Result<Lab, Failure> {
        Ok(Lab::open(&self.settings()?, name)?)
    }

    /// Opens a lab to change it until that is called off, and says so where that has to wait for
    /// another process.
    pub(crate) fn open_to_change(&self, name: &LabName, cancel: &Cancel) -> Result<Lab, Failure> {
        let settings = Settings { cancel: Some(cancel.clone()), ..self.settings()? };
        let lab = Lab::open(&settings, name)?;
        if let Some(pid) = lab.locked_by().filter(|_| !self.global.no_wait) {
            let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            let what =
                format!("lab {name} is being changed by another process{pid}: waiting for it");
            self.printer.note(what);
        }
        Ok(lab)
    }

    /// Reads the file, under the name that is wanted for the lab.
    pub(crate) fn file(&self, arg: &FileArg) -> Result<File, Failure> {
        let (path, is_default) = match (&arg.path, &self.global.file) {
            (Some(_), Some(_)) => {
                let message = "the file is named twice: as FILE and with -f";
                return Err(Failure::usage("usage", message));
            }
            (Some(path), None) | (None, Some(path)) => (path.clone(), false),
            (None, None) => (PathBuf::from(DEFAULT_FILE), true),
        };
        let Some(bytes) = read(&path)? else {
            let labs = vnet::list::recorded_labs(&self.settings()?).unwrap_or_default();
            return Err(errors::no_file(&path, is_default, &labs));
        };
        let shown = if path == Path::new("-") { "stdin".into() } else { path.to_string_lossy() };
        let source = Source::from_bytes(shown, bytes)
            .map_err(|(source, report)| Failure::of_report(&report, &source, &path))?;
        let file = vnet::file::parse(&source, &self.global.vars)
            .map_err(|report| Failure::of_report(&report, &source, &path))?;
        Ok(match &self.global.lab {
            Some(lab) => file.renamed(lab.clone()),
            None => file,
        })
    }

    /// Reads the file that a lab was told by once more, if it still is one that can be read.
    pub(crate) fn file_again(&self, path: &Path, lab: &LabName) -> Option<File> {
        let bytes = read(path).ok()??;
        let here = std::env::current_dir().ok();
        let shown = here.and_then(|here| path.strip_prefix(here).ok());
        let source = Source::from_bytes(shown.unwrap_or(path).to_string_lossy(), bytes).ok()?;
        let file = vnet::file::parse(&source, &self.global.vars).ok()?;
        Some(file.renamed(lab.clone()))
    }

    /// Returns the lab that `-l` picks where no file is at hand: one that is up.
    pub(crate) fn lab_without_file(&self, arg: &FileArg) -> Option<&LabName> {
        let named = arg.path.is_some() || self.global.file.is_some();
        self.global.lab.as_ref().filter(|_| !named && !Path::new(DEFAULT_FILE).exists())
    }

    /// Returns the file's path in full, to be remembered; `None` for stdin.
    pub(crate) fn full_path(&self, arg: &FileArg) -> Option<PathBuf> {
        let default = PathBuf::from(DEFAULT_FILE);
        let path = arg.path.as_ref().or(self.global.file.as_ref()).unwrap_or(&default);
        (path != Path::new("-")).then(|| std::fs::canonicalize(path).ok())?
    }

    /// Derives everything that the file leaves open.
    pub(crate) fn resolve(&self, file: &File) -> Result<Desired, Failure> {
        file.resolve().map_err(|report| {
            Failure::of_report(&report, file.source(), Path::new(file.source().name()))
        })
    }

    /// Finds the lab's name: by `-l`, else by the file.
    pub(crate) fn lab_name(&self, arg: &FileArg) -> Result<LabName, Failure> {
        match &self.global.lab {
            Some(lab) => Ok(lab.clone()),
            None => Ok(self.file(arg)?.topology().name().clone()),
        }
    }

    /// Finds the name of the lab to look into: as [`Context::lab_name`], but where neither `-l` nor
    /// `-f` names it, a program in a lab means that lab.
    pub(crate) fn lab_to_look_into(&self) -> Result<LabName, Failure> {
        let named = self.global.lab.is_some() || self.global.file.is_some();
        match std::env::var(ENV_LAB) {
            Ok(name) if !named && !name.is_empty() => LabName::new(&name)
                .map_err(|error| Failure::usage("usage", format!("{ENV_LAB}: {error}"))),
            _ => self.lab_name(&FileArg::default()),
        }
    }

    /// Opens the lab to look into.
    pub(crate) fn open_to_look(&self) -> Result<Lab, Failure> {
        self.open(&self.lab_to_look_into()?)
    }
}

/// Reads a file, or stdin for `-`; `None` where there is none. A byte more than may be is read, so
/// that the reader of the language can say that it is too long.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let limit = SOURCE_MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let result = match path == Path::new("-") {
        true => std::io::stdin().lock().take(limit).read_to_end(&mut bytes),
        false => OpenOptions::new()
            .read(true)
            .open(path)
            .and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    match result {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("cannot read {}: {}", path.display(), errors::words(&error));
            Err(Failure::usage("no-file", message))
        }
    }
}
