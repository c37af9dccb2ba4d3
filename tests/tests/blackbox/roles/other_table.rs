//! The table of the remaining REST calls: route × what it is about × caller.

use super::{
    other_calls::{
        Call::{
            self, AllEntries, AllEntriesMistaken, Catalogue, Delivery, Docs, DocsStyle, MakeToken, MakeTokenForAll,
            MakeTokenMistaken, MakeTokenUnreadable, NoSuchAddress, NoSuchMethod, OpenApi, Projects, Retry, Revoke,
            Tokens, Webhooks,
        },
        WhoseToken::{NoNumber, OfAll, OfDefault, OfOther, Unused},
    },
    standing::{
        Hook::{Arrived, Both, Deleted, Empty, Everyone, Foreign, Left, Mixed, OtherAll, OtherOwn, Own},
        Past::{Never, NoUuid, Of},
    },
    webhook_table::Row,
};

/// A project administrator sees the deliveries of its projects, of the webhooks that it may manage now. Tokens and the
/// history of all webhooks together are a system administrator's: others may not use those routes (403), whatever they
/// ask for there.
#[rustfmt::skip]
pub(super) const TABLE: [(Call, Row); 50] = [
    //                             no unkn expd forg  memb publ pall  a1,2  jwt  a3   sys  jwt  othr o1,2
    (Webhooks,                   [401, 401, 401, 401,  403, 403, 403,  200, 200, 200,  200, 200,  200, 200]),
    (AllEntries,                 [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  200, 200,  200, 403]),
    (AllEntriesMistaken,         [401, 401, 401, 401,  403, 403, 403,  403, 403, 403,  422, 422,  422, 403]),

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

    // Public, as is what addresses and methods there are.
    (OpenApi,                    [200, 200, 200, 200,  200, 200, 200,  200, 200, 200,  200, 200,  200, 200]),
    (Docs,                       [200, 200, 200, 200,  200, 200, 200,  200, 200, 200,  200, 200,  200, 200]),
    (DocsStyle,                  [200, 200, 200, 200,  200, 200, 200,  200, 200, 200,  200, 200,  200, 200]),
    (NoSuchAddress,              [404, 404, 404, 404,  404, 404, 404,  404, 404, 404,  404, 404,  404, 404]),
    (NoSuchMethod,               [405, 405, 405, 405,  405, 405, 405,  405, 405, 405,  405, 405,  405, 405]),
];
