//! Who may do what: every route and every gRPC method × whose the thing is × who calls, with the answer to each.
//!
//! | module | what for |
//! |---|---|
//! | `callers` | the columns: who calls |
//! | `world`, `standing` | what they call about: webhooks, deliveries, projects and tokens of every ownership |
//! | `webhook_table`, `scope_table`, `other_table` | what REST answers; `*_calls` call, and look at what that did |
//! | `grpc_*` | the same for gRPC |
//! | `cells` | runs the cells of a table |
//! | `lists` | what lists show |
//! | `tokens`, `jwts` | since when and until when a token counts, and which JWTs count |

mod callers;
mod cells;
mod grpc;
mod grpc_other_calls;
mod grpc_other_table;
mod grpc_scopes;
mod grpc_told;
mod grpc_webhook_calls;
mod grpc_webhook_table;
mod jwts;
mod lists;
mod other_calls;
mod other_table;
mod rest;
mod scope_calls;
mod scope_table;
mod standing;
mod tokens;
mod webhook_calls;
mod webhook_table;
mod world;

use blackbox::in_both_modes;
use grpc::{grpc_answers_as_the_tables_say, no_token_opens_the_services_between};
use jwts::{jwts_of_the_public_key_count, jwts_of_the_secret_count, without_a_key_no_jwt_counts};
use lists::lists_show_what_is_ones_own;
use rest::{every_route_is_in_the_tables, mistakes_tell_nothing_of_what_is_hidden, rest_answers_as_the_tables_say};
use tokens::{
    a_jwt_ends_when_it_says, a_new_token_works_at_once, a_revoked_token_is_refused, a_token_cannot_be_changed,
};

in_both_modes!(
    rest_answers_as_the_tables_say,
    every_route_is_in_the_tables,
    mistakes_tell_nothing_of_what_is_hidden,
    lists_show_what_is_ones_own,
    grpc_answers_as_the_tables_say,
    no_token_opens_the_services_between,
    a_new_token_works_at_once,
    a_revoked_token_is_refused,
    a_token_cannot_be_changed,
    a_jwt_ends_when_it_says,
    jwts_of_the_secret_count,
    jwts_of_the_public_key_count,
    without_a_key_no_jwt_counts,
);
