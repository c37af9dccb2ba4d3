//! The table of the remaining REST calls: route × what it is about × caller.

use super::{
    other_calls::{
        Call::{
            self, AllEntries, AllEntriesMistaken, CancelReplay, Catalogue, Clear, ClearUnconfirmed, Delivery, Docs,
            DocsStyle, Export, ExportMistaken, MakeToken, MakeTokenForAll, MakeTokenMistaken, MakeTokenUnreadable,
            NoSuchAddress, NoSuchMethod, OpenApi, Projects, PutSettings, PutSettingsMistaken, Replay, Retry, Revoke,
            Settings, Tokens, Webhooks,
        },
        WhoseToken::{NoNumber, OfAll, OfDefault, OfOther, Unused},
    },
    standing::{
        Hook::{Arrived, Both, Deleted, Empty, Everyone, Foreign, Left, Mixed, OtherAll, OtherOwn, Own},
        Past::{Never, NoUuid, Of},
        PastReplay::{NoReplay, NoReplayUuid, Part, Whole},
    },
    webhook_table::Row,
};

/// A project administrator sees the deliveries of its projects, of the webhooks that it may manage now. Tokens and the
/// history of all webhooks together are a system administrator's: others may not use those routes (403), whatever they
/// ask for there.
#[rustfmt::skip]
pub(super) const TABLE: [(Call, Row); 89] = [
    //                             no unkn expd forg  memb publ pall  a1,2  jwt  a3   sys  jwt  othr o1,2
    (Webhooks,                   [401, 401, 401, 401,  403, 403, 403,  200, 200, 200,  200, 200,  200, 200]),
    (AllEntries,                 [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  200, 200,  200, 403]),
    (AllEntriesMistaken,         [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  422, 422,  422, 403]),
    (Export,                     [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  200, 200,  200, 403]),
    (ExportMistaken,             [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  422, 422,  422, 403]),

    (Delivery(Of(Own, 1)),       [401, 401, 401, 401,  403, 403, 403,  200, 200, 404,  200, 200,  404, 404]),
    (Delivery(Of(Both, 2)),      [401, 401, 401, 401,  403, 403, 403,  200, 200, 404,  200, 200,  404, 404]),
    (Delivery(Of(Mixed, 1)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Delivery(Of(Mixed, 3)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Delivery(Of(Foreign, 3)),   [401, 401, 401, 401,  403, 403, 403,  404, 404, 200,  200, 200,  404, 404]),
    (Delivery(Of(Everyone, 1)),  [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Delivery(Of(Everyone, 9)),  [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Delivery(Of(Empty, 9)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Delivery(Of(Deleted, 1)),   [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    // The webhook was of project 1 and is of 3 now, and the other way round.
    (Delivery(Of(Left, 1)),      [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Delivery(Of(Arrived, 3)),   [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Delivery(Of(OtherOwn, 1)),  [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  200, 200]),
    (Delivery(Of(OtherAll, 1)),  [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  200, 404]),
    (Delivery(Never),            [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  404, 404]),
    (Delivery(NoUuid),           [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  404, 404]),

    // All of them were delivered, so that there is nothing to retry (409).
    (Retry(Of(Own, 1)),          [401, 401, 401, 401,  403, 403, 403,  409, 409, 404,  409, 409,  404, 404]),
    (Retry(Of(Both, 2)),         [401, 401, 401, 401,  403, 403, 403,  409, 409, 404,  409, 409,  404, 404]),
    (Retry(Of(Mixed, 1)),        [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (Retry(Of(Mixed, 3)),        [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (Retry(Of(Foreign, 3)),      [401, 401, 401, 401,  403, 403, 403,  404, 404, 409,  409, 409,  404, 404]),
    (Retry(Of(Everyone, 1)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (Retry(Of(Everyone, 9)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (Retry(Of(Empty, 9)),        [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (Retry(Of(Deleted, 1)),      [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (Retry(Of(Left, 1)),         [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (Retry(Of(Arrived, 3)),      [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (Retry(Of(OtherOwn, 1)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  409, 409]),
    (Retry(Of(OtherAll, 1)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  409, 404]),
    (Retry(Never),               [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  404, 404]),
    (Retry(NoUuid),              [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  404, 404]),

    // Of all projects: a system administrator's business. All of them are done, so that there is nothing to cancel (409).
    //                             no unkn expd forg  memb publ pall  a1,2  jwt  a3   sys  jwt  othr o1,2
    (Replay(Whole(Own)),         [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Replay(Whole(Mixed)),       [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Replay(Whole(Foreign)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Replay(Whole(Everyone)),    [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Replay(Whole(Empty)),       [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Replay(Whole(Deleted)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Replay(Whole(OtherOwn)),    [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  200, 404]),
    (Replay(Whole(OtherAll)),    [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  200, 404]),
    (Replay(Part(Own)),          [401, 401, 401, 401,  403, 403, 403,  200, 200, 404,  200, 200,  404, 404]),
    (Replay(Part(Both)),         [401, 401, 401, 401,  403, 403, 403,  200, 200, 404,  200, 200,  404, 404]),
    (Replay(Part(Foreign)),      [401, 401, 401, 401,  403, 403, 403,  404, 404, 200,  200, 200,  404, 404]),
    (Replay(Part(Left)),         [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Replay(Part(Arrived)),      [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  200, 200,  404, 404]),
    (Replay(Part(OtherOwn)),     [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  200, 200]),
    (Replay(NoReplay(Own)),      [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  404, 404]),
    (Replay(NoReplayUuid(Own)),  [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  404, 404]),
    (CancelReplay(Whole(Own)),   [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (CancelReplay(Whole(Mixed)), [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (CancelReplay(Whole(Foreign)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (CancelReplay(Whole(Everyone)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (CancelReplay(Whole(Empty)), [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (CancelReplay(Whole(Deleted)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (CancelReplay(Whole(OtherOwn)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  409, 404]),
    (CancelReplay(Whole(OtherAll)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  409, 404]),
    (CancelReplay(Part(Own)),    [401, 401, 401, 401,  403, 403, 403,  409, 409, 404,  409, 409,  404, 404]),
    (CancelReplay(Part(Both)),   [401, 401, 401, 401,  403, 403, 403,  409, 409, 404,  409, 409,  404, 404]),
    (CancelReplay(Part(Foreign)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 409,  409, 409,  404, 404]),
    (CancelReplay(Part(Left)),   [401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (CancelReplay(Part(Arrived)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  409, 409,  404, 404]),
    (CancelReplay(Part(OtherOwn)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  409, 409]),
    (CancelReplay(NoReplay(Own)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  404, 404]),
    (CancelReplay(NoReplayUuid(Own)),[401, 401, 401, 401,  403, 403, 403,  404, 404, 404,  404, 404,  404, 404]),

    //                             no unkn expd forg  memb publ pall  a1,2  jwt  a3   sys  jwt  othr o1,2
    (Catalogue,                  [401, 401, 401, 401,  403, 403, 403,  200, 200, 200,  200, 200,  200, 200]),
    (Projects,                   [401, 401, 401, 401,  403, 403, 403,  200, 200, 200,  200, 200,  200, 200]),

    (Tokens,                     [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  200, 200,  200, 403]),
    (MakeToken,                  [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  201, 201,  201, 403]),
    (MakeTokenForAll,            [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  201, 201,  403, 403]),
    (MakeTokenMistaken,          [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  422, 422,  422, 403]),
    (MakeTokenUnreadable,        [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  422, 422,  422, 403]),
    (Revoke(OfDefault),          [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  204, 204,  404, 403]),
    (Revoke(OfOther),            [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  404, 404,  204, 403]),
    (Revoke(OfAll),              [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  204, 204,  404, 403]),
    (Revoke(Unused),             [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  404, 404,  404, 403]),
    (Revoke(NoNumber),           [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  404, 404,  404, 403]),

    (Settings,                   [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  200, 200,  200, 403]),
    (PutSettings,                [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  200, 200,  200, 403]),
    (PutSettingsMistaken,        [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  422, 422,  422, 403]),
    (ClearUnconfirmed,           [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  422, 422,  422, 403]),

    // Public, as is what addresses and methods there are.
    (OpenApi,                    [200, 200, 200, 200,  200, 200, 200,  200, 200, 200,  200, 200,  200, 200]),
    (Docs,                       [200, 200, 200, 200,  200, 200, 200,  200, 200, 200,  200, 200,  200, 200]),
    (DocsStyle,                  [200, 200, 200, 200,  200, 200, 200,  200, 200, 200,  200, 200,  200, 200]),
    (NoSuchAddress,              [404, 404, 404, 404,  404, 404, 404,  404, 404, 404,  404, 404,  404, 404]),
    (NoSuchMethod,               [405, 405, 405, 405,  405, 405, 405,  405, 405, 405,  405, 405,  405, 405]),

    // Last: nothing of what the other rows are about is left.
    (Clear,                      [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  204, 204,  204, 403]),
];
