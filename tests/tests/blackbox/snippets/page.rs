//! A page of `docs/receivers/verify`: the files that it shows, and the commands that run them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Programs that the pages' commands need, each with Debian's package that has it.
const TOOLS: [(&str, &str); 8] = [
    ("node", "nodejs"),
    ("python3", "python3"),
    ("go", "golang-go"),
    ("php", "php-cli"),
    ("javac", "default-jdk-headless"),
    ("mcs", "mono-mcs"),
    ("mono", "mono-runtime"),
    ("openssl", "openssl"),
];

/// What a reader copies from a page.
pub(super) struct Page {
    name: String,
    /// Path and text.
    files: Vec<(String, String)>,
    /// What to type, without the line that sets the environment.
    commands: String,
}

impl Page {
    /// Reads `docs/receivers/verify/<name>.md`. A code block after a line that is only a name in backquotes and a colon is
    /// that file; the other one is what to type, and starts with setting the environment.
    pub(super) fn read(name: &str) -> Self {
        let path = pages().join(format!("{name}.md"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let mut files = Vec::new();
        let mut commands = Vec::new();
        for (before, code) in blocks(&text) {
            match before.strip_prefix('`').and_then(|line| line.strip_suffix("`:")) {
                Some(file) => files.push((file.to_owned(), code)),
                None => commands.push(code),
            }
        }
        assert!(!files.is_empty(), "{name}.md shows no file");
        let [commands] = commands.as_slice() else { panic!("{name}.md must have one block of commands: {commands:?}") };
        let (environment, commands) = commands.split_once('\n').expect("a line that sets the environment");
        assert!(environment.starts_with("export WEBHOOK_SECRET='whsec_…'"), "{name}.md: {environment}");
        Self { name: name.to_owned(), files, commands: commands.to_owned() }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Writes its files into `folder`; what it says to type, to be run there.
    ///
    /// # Panics
    /// If a program that it needs is not there.
    pub(super) fn install(&self, folder: &Path, secret: &str) -> Command {
        self.need_tools();
        for (file, text) in &self.files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("a file in the folder")).expect("a new folder");
            fs::write(path, text).expect("a new file");
        }
        if self.files.iter().any(|(file, _)| file == "Cargo.toml") {
            // The versions that the workspace has: nothing is fetched while tests run.
            fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock")).expect("a copy of Cargo.lock");
        }
        let mut command = Command::new("sh");
        command.args(["-c", &format!("set -e\n{}", self.commands)]).current_dir(folder);
        command.env("WEBHOOK_SECRET", secret).env("TMPDIR", folder);
        command
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TARGET_DIR", target().join("receivers"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        command
    }

    fn need_tools(&self) {
        for (tool, package) in TOOLS {
            let needed = self.files.iter().map(|(_, text)| text).chain([&self.commands]);
            // Java's launcher of source files comes with the compiler alone.
            let word = if tool == "javac" { "java" } else { tool };
            let starts = |text: &String| text.lines().any(|line| line.trim_start().starts_with(&format!("{word} ")));
            if needed.clone().any(starts) {
                assert!(is_there(tool), "{tool} is missing; install it with: apt-get install -y {package}");
            }
        }
    }
}

/// The names of all pages.
pub(super) fn names() -> Vec<String> {
    let entries = fs::read_dir(pages()).expect("the folder of the pages");
    let names = entries.map(|entry| entry.expect("an entry").path());
    let mut names: Vec<_> =
        names.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn is_there(tool: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(tool).is_file())
}

/// Each code block, after the last line of text before it.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let code = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            blocks.push((before.to_owned(), code));
        } else if !line.is_empty() {
            before = line;
        }
    }
    blocks
}

fn pages() -> PathBuf {
    workspace().join("docs/receivers/verify")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder that this program was built under, so that what a page needs is built once.
fn target() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    program.ancestors().nth(3).expect("a test program is in target/<profile>/deps").to_owned()
}
