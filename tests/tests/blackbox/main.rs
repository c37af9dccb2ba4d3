//! The tests of the whole product over REST, gRPC and HTTP, the same list in both modes; and the tests of the harness.

mod access;
mod apply;
mod architecture;
mod command_line;
mod crashes;
mod delivery;
mod demo;
mod duplicates;
mod filters;
mod grpc_input;
mod harness;
mod matching;
mod openapi;
mod pausing;
mod rest_input;
mod retries;
mod roles;
mod rotation;
mod secrets;
mod startup;
mod stock_tools;
mod targets;
mod told;
