//! A new migration is part of the program, though no line of Rust names it.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
