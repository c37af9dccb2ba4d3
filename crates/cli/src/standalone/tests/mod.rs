//! Standalone as a whole in this process, in both modes, with a resolver that answers as told: what the address policy
//! says of every spelling and of every kind of answer, at save (`saving.rs`) and at connect (`connecting.rs`).

mod connecting;
mod saving;
mod world;
