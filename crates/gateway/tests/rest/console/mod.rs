//! The console as a browser without scripts sees it: pages, forms, cookies, and what keeps them safe.

mod actions;
mod browser;
mod hostile;
mod screens;
mod sessions;
mod settings;
