//! Writes the seeds of each target to files, for libFuzzer: `cargo run -p fuzz --example seeds -- FOLDER` makes
//! `FOLDER/TARGET/0`, `FOLDER/TARGET/1`, … and `FOLDER/TARGET.dict`, and prints the names of the targets.

use std::{fmt::Write as _, fs, path::Path};

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/fuzz".to_owned());
    for target in fuzz::TARGETS {
        let corpus = Path::new(&folder).join(target.name);
        fs::create_dir_all(&corpus)?;
        for (index, seed) in (target.seeds)().iter().enumerate() {
            fs::write(corpus.join(index.to_string()), seed)?;
        }
        // An empty file is refused.
        let mut words = "# What inputs are made of.\n".to_owned();
        for word in target.words {
            let escaped: String = word.bytes().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "\\x{byte:02x}");
                text
            });
            let _ = writeln!(words, "\"{escaped}\"");
        }
        fs::write(corpus.with_extension("dict"), words)?;
        println!("{}", target.name);
    }
    Ok(())
}
