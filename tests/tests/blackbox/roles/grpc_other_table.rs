//! The table of the remaining gRPC methods: method × what it is about × caller.

use tonic::Code::{FailedPrecondition as FP, InvalidArgument as IA, NotFound as NF, Ok as OK};

use super::{
    callers::Instance::{Default, Other},
    grpc_other_calls::Call::{
        self, Caller, CancelReplay, Clear, ClearUnconfirmed, CreateToken, CreateTokenForAll, CreateTokenMistaken,
        Delivery, DropParked, Event, Export, GetReplay, ListParked, ListProjects, ListTokens, ListWebhooks, Plan,
        RequeueParked, Retry, Revoke, Settings, UpdateSettings, UpdateSettingsMistaken,
    },
    grpc_webhook_table::{PD, Row, UN},
    other_calls::WhoseToken::{NoNumber, OfAll, OfDefault, OfOther, Unused},
    standing::{
        Hook::{Arrived, Both, Deleted, Empty, Everyone, Foreign, Left, Mixed, OtherAll, OtherOwn, Own},
        Past::{Never, NoUuid, Of},
        PastEvent::{In, NoEvent, Unheard},
        PastReplay::{NoReplay, NoReplayUuid, Part, Whole},
    },
};

#[rustfmt::skip]
pub(super) const TABLE: [(Call, Row); 89] = [
    //                            no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Caller,                     [UN, UN, UN, UN,  OK, OK, OK,  OK, OK, OK,  OK, OK,  OK, OK]),
    (ListWebhooks,               [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, OK,  OK, OK,  OK, OK]),
    (ListProjects,               [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, OK,  OK, OK,  OK, OK]),
    (ListTokens,                 [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD]),
    (CreateToken,                [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD]),
    (CreateTokenForAll,          [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  PD, PD]),
    (CreateTokenMistaken,        [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  IA, IA,  IA, PD]),
    (Revoke(OfDefault),          [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  NF, PD]),
    (Revoke(OfOther),            [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  NF, NF,  OK, PD]),
    (Revoke(OfAll),              [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  NF, PD]),
    (Revoke(Unused),             [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  NF, NF,  NF, PD]),
    // Id 0.
    (Revoke(NoNumber),           [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  NF, NF,  NF, PD]),

    //                            no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Export,                     [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD]),
    (Delivery(Of(Own, 1)),       [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(Both, 2)),      [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(Mixed, 1)),     [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(Mixed, 3)),     [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(Foreign, 3)),   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF]),
    (Delivery(Of(Everyone, 1)),  [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(Empty, 9)),     [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(Deleted, 1)),   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(Left, 1)),      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(Arrived, 3)),   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (Delivery(Of(OtherOwn, 1)),  [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK]),
    (Delivery(Of(OtherAll, 1)),  [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF]),
    (Delivery(Never),            [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),
    (Delivery(NoUuid),           [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),

    // All of them were delivered, so that there is nothing to retry.
    (Retry(Of(Own, 1)),          [UN, UN, UN, UN,  PD, PD, PD,  FP, FP, NF,  FP, FP,  NF, NF]),
    (Retry(Of(Both, 2)),         [UN, UN, UN, UN,  PD, PD, PD,  FP, FP, NF,  FP, FP,  NF, NF]),
    (Retry(Of(Mixed, 1)),        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (Retry(Of(Mixed, 3)),        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (Retry(Of(Foreign, 3)),      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, FP,  FP, FP,  NF, NF]),
    (Retry(Of(Everyone, 1)),     [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (Retry(Of(Empty, 9)),        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (Retry(Of(Deleted, 1)),      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (Retry(Of(Left, 1)),         [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (Retry(Of(Arrived, 3)),      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (Retry(Of(OtherOwn, 1)),     [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  FP, FP]),
    (Retry(Of(OtherAll, 1)),     [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  FP, NF]),
    (Retry(Never),               [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),
    (Retry(NoUuid),              [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),

    // Of all projects: a system administrator's business. All of them are done, so that there is nothing to cancel.
    //                            no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (GetReplay(Whole(Own)),      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (GetReplay(Whole(Mixed)),    [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (GetReplay(Whole(Foreign)),  [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (GetReplay(Whole(Everyone)), [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (GetReplay(Whole(Empty)),    [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (GetReplay(Whole(Deleted)),  [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (GetReplay(Whole(OtherOwn)), [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF]),
    (GetReplay(Whole(OtherAll)), [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF]),
    (GetReplay(Part(Own)),       [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF]),
    (GetReplay(Part(Both)),      [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF]),
    (GetReplay(Part(Foreign)),   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF]),
    (GetReplay(Part(Left)),      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (GetReplay(Part(Arrived)),   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (GetReplay(Part(OtherOwn)),  [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK]),
    (GetReplay(NoReplay(Own)),   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),
    (GetReplay(NoReplayUuid(Own)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),
    (CancelReplay(Whole(Own)),   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Whole(Mixed)), [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Whole(Foreign)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Whole(Everyone)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Whole(Empty)), [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Whole(Deleted)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Whole(OtherOwn)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  FP, NF]),
    (CancelReplay(Whole(OtherAll)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  FP, NF]),
    (CancelReplay(Part(Own)),    [UN, UN, UN, UN,  PD, PD, PD,  FP, FP, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Part(Both)),   [UN, UN, UN, UN,  PD, PD, PD,  FP, FP, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Part(Foreign)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, FP,  FP, FP,  NF, NF]),
    (CancelReplay(Part(Left)),   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Part(Arrived)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  FP, FP,  NF, NF]),
    (CancelReplay(Part(OtherOwn)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  FP, FP]),
    (CancelReplay(NoReplay(Own)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),
    (CancelReplay(NoReplayUuid(Own)),[UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),

    // A project administrator reads the events of its projects, whoever got them.
    //                            no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Event(In(Default, 1)),      [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF]),
    (Event(In(Default, 3)),      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF]),
    (Event(In(Default, 9)),      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  OK, OK,  NF, NF]),
    (Event(In(Other, 1)),        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, OK]),
    (Event(In(Other, 3)),        [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  OK, NF]),
    (Event(Unheard),             [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),
    (Event(NoEvent),             [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, NF,  NF, NF,  NF, NF]),

    // For the operator of the service: the queue is of all instances.
    //                            no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (ListParked,                 [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  PD, PD]),
    (RequeueParked,              [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  PD, PD]),
    (DropParked,                 [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  PD, PD]),

    //                            no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Plan,                       [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD]),
    (Settings,                   [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD]),
    (UpdateSettings,             [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD]),
    (UpdateSettingsMistaken,     [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  IA, IA,  IA, PD]),
    (ClearUnconfirmed,           [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  IA, IA,  IA, PD]),
    // Last: nothing of what the other rows are about is left.
    (Clear,                      [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD]),
];
