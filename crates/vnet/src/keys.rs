//! The private keys of a lab's WireGuard devices: one file in its folder, for its user alone.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::sync::Mutex;

use vnet_kernel::wireguard::{KEY_BYTES, Keys, PrivateKey, random_key};
use vnet_model::End;

use crate::state_dir::StateDir;

/// The file that the keys are in, by device.
pub(crate) const FILE: &str = "wireguard.json";

/// A lab's keys. They are made when a device first needs one, and go with the lab.
#[derive(Debug)]
pub(crate) struct LabKeys {
    dir: StateDir,
    /// One at a time: the file is read and replaced as a whole.
    lock: Mutex<()>,
}

impl LabKeys {
    pub(crate) fn new(dir: StateDir) -> Self {
        Self { dir, lock: Mutex::new(()) }
    }

    fn read(&self) -> std::io::Result<BTreeMap<String, [u8; KEY_BYTES]>> {
        match std::fs::read(self.dir.file(FILE)) {
            Ok(text) => serde_json::from_slice(&text).map_err(|_| broken()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }
}

/// Says nothing of what is in the file.
fn broken() -> Error {
    Error::new(ErrorKind::InvalidData, "the file of keys is not as vnet writes it")
}

impl Keys for LabKeys {
    fn private_key(&self, end: &End) -> std::io::Result<PrivateKey> {
        let _one_at_a_time = self.lock.lock();
        let mut keys = self.read()?;
        if let Some(key) = keys.get(&end.to_string()) {
            return Ok(PrivateKey(*key));
        }
        let key = random_key()?;
        keys.insert(end.to_string(), key.0);
        let text = serde_json::to_vec(&keys).map_err(|_| broken())?;
        self.dir.replace(FILE, &text, true).map_err(|error| Error::other(error.to_string()))?;
        Ok(key)
    }
}
