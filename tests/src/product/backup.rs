//! A backup of a product, and a new product that is made of one: as `docs/backup.md` says.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Mode, Product, Service, files::write_secret};
use crate::{run, servers::Database};

/// What is kept of a product elsewhere.
#[derive(Debug)]
pub struct Backup {
    folder: PathBuf,
    /// Of a system administrator of the product.
    pub admin_token: String,
}

impl Drop for Backup {
    fn drop(&mut self) {
        run::remove(&self.folder);
    }
}

impl Backup {
    fn dump(&self) -> PathBuf {
        self.folder.join("testmo.sql")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.join("secrets.key")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Puts the database and the key in their places; the path of the key.
    pub(super) async fn restore_database(&self, database: &Database, folder: &Path) -> String {
        database.run_file(&self.dump()).await;
        let key = fs::read_to_string(self.key_file()).expect("the key of the backup");
        write_secret(folder, "secrets.key", &key)
    }

    /// Puts the data folder in its place.
    pub(super) fn restore_data(&self, folder: &Path) {
        copy_folder(&self.data(), &folder.join("data"));
    }
}

impl Product {
    /// Makes a backup: while it runs in distributed mode; for embedded mode it is stopped meanwhile.
    pub async fn back_up(&mut self) -> Arc<Backup> {
        let backup = Backup { folder: run::folder("backup"), admin_token: self.admin_token.clone() };
        match self.mode {
            Mode::Embedded => {
                self.stop(Service::Standalone).await;
                copy_folder(&self.folder.join("data"), &backup.data());
                self.resume(Service::Standalone).await;
            }
            Mode::Distributed => {
                let database = self.database.as_ref().expect("a database of its own");
                fs::write(backup.dump(), database.dump()).expect("room for a dump");
                fs::copy(self.key_file(), backup.key_file()).expect("room for a key");
            }
        }
        Arc::new(backup)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for file in fs::read_dir(from).expect("a folder that can be read") {
        let file = file.expect("a file in it").path();
        fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("room for a copy");
    }
}
