//! The programs that keep the webhooks and send deliveries, and the commands that work on what is kept.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{Mode, Product, Service, launch};

impl Product {
    /// The program that has the webhooks.
    #[must_use]
    pub fn keeper(&self) -> Service {
        if self.mode == Mode::Embedded { Service::Standalone } else { Service::Subscription }
    }

    /// The program that sends deliveries.
    #[must_use]
    pub fn sender(&self) -> Service {
        if self.mode == Mode::Embedded { Service::Standalone } else { Service::Dispatcher }
    }

    /// A command of `testmo-webhooks` with the configuration of that program.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = launch::command(Service::Standalone, &self.placements[&self.keeper().into()], &self.folder);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// The file of the key that signing secrets are encrypted with.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        match self.setting(self.keeper(), "secrets.key_file") {
            Some(path) => path.into(),
            None => self.folder.join("data/secrets.key"),
        }
    }
}
