//! The table of the gRPC methods on one webhook: method × whose webhook × caller. What REST answers 401, 403, 404, 409
//! and 412, this answers UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, FAILED_PRECONDITION and ABORTED.

use tonic::Code::{self, Aborted as AB, FailedPrecondition as FP, NotFound as NF, Ok as OK};

use super::{callers::CALLERS, grpc_webhook_calls::Call, world::Rows};

/// The codes of one row, a column for each of [`Caller::ALL`](super::callers::Caller::ALL).
pub(super) type Row = [Code; CALLERS];

pub(super) const UN: Code = Code::Unauthenticated;
pub(super) const PD: Code = Code::PermissionDenied;

#[rustfmt::skip]
pub(super) const TABLE: [(Call, Rows<Row>); 17] = [
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Get, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Rename, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    // With an `if_version` that no webhook has: what may not be seen does not exist in any version.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::RenameStale, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  AB, AB, NF,  AB, AB,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  AB, AB, NF,  AB, AB,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  AB, AB,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, AB,  AB, AB,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  AB, AB,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  AB, AB,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  AB, AB],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  AB, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Regenerate, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Delete, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::DeleteStale, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  AB, AB, NF,  AB, AB,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  AB, AB, NF,  AB, AB,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  AB, AB,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, AB,  AB, AB,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  AB, AB,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  AB, AB,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  AB, AB],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  AB, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    // A webhook without a project left can't be activated.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Activate, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Deactivate, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    // What a deleted webhook was stays readable by system administrators, here and in its history.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Changes, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    // Id 0: the history of all webhooks.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Entries, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD],
    }),
    // Counts are of one webhook, never of all.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Stats, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::BatchStats, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Explain, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    // A webhook without a project left can be tested too.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Test, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    // A webhook without a project left is inactive, and a deleted one gets nothing more.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::StartReplay, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    // Counting is reading.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::CountReplay, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
    // Replays stay as history does.
    //                   no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::ListReplays, Rows {
        own:            [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:           [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        foreign:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        empty:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        other_own:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK],
        other_everyone: [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF],
        deleted:        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF],
        never:          [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
        no_number:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF],
    }),
];
