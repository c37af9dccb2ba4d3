//! The target that the environment variable `FUZZ_TARGET` names. One program for all: linking it takes longer than
//! compiling it.
#![no_main]

use std::sync::LazyLock;

use fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    fuzz::target(&name).expect("the target is known")
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
