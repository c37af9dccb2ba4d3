//! Free TCP ports on 127.0.0.1.
//!
//! Below the range from which the kernel takes ports for outgoing connections, so that a program that was killed finds
//! its port free again however many connections are open. In blocks, each held by a listener on its first port for as
//! long as this process lives, so that test programs that run side by side never hand out the same port.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::Mutex,
};

const FIRST: u16 = 12_000;
const BLOCK: u16 = 100;
const BLOCKS: u16 = 200;

struct Blocks {
    held: Vec<TcpListener>,
    next: u16,
    end: u16,
}

static STATE: Mutex<Blocks> = Mutex::new(Blocks { held: Vec::new(), next: 0, end: 0 });

/// A port that nobody listens on, and that is given to nobody else in this run.
#[must_use]
pub fn free() -> u16 {
    let mut state = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    loop {
        if state.next == state.end {
            take_block(&mut state);
        }
        let port = state.next;
        state.next += 1;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn take_block(state: &mut Blocks) {
    let start = u16::from_le_bytes([crate::random::bytes()[0], 0]) % BLOCKS;
    for offset in 0..BLOCKS {
        let first = FIRST + (start + offset) % BLOCKS * BLOCK;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, first)) {
            state.held.push(listener);
            state.next = first + 1;
            state.end = first + BLOCK;
            return;
        }
    }
    panic!("no block of {BLOCK} ports is free between {FIRST} and {}", FIRST + BLOCKS * BLOCK);
}
