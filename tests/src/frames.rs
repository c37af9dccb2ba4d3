//! HTTP/2 byte by byte (RFC 9113), for clients that no library would be.

/// What every client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
pub mod kind {
    #![expect(missing_docs, reason = "RFC 9113, section 6, has the names")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of HEADERS and DATA.
pub const END_STREAM: u8 = 1;
/// Flag of HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;

/// A frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let head = [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The preface and the settings, in which each stream has a window of so many bytes.
#[must_use]
pub fn opening(window: u32) -> Vec<u8> {
    // SETTINGS_INITIAL_WINDOW_SIZE.
    let setting = [&[0, 4][..], &window.to_be_bytes()].concat();
    [PREFACE, &frame(kind::SETTINGS, 0, 0, &setting)].concat()
}

/// The header block of a gRPC call, each field a literal that no table remembers (RFC 7541, 6.2.2).
#[must_use]
pub fn call(path: &str, token: Option<&str>) -> Vec<u8> {
    let mut block = vec![0x83, 0x86]; // ":method: POST", ":scheme: http"
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut fields = vec![(":path", path), (":authority", "127.0.0.1"), ("content-type", "application/grpc")];
    fields.push(("te", "trailers"));
    fields.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    for (name, value) in fields {
        block.extend(field(name, value));
    }
    block
}

/// A header field as a literal; name and value are shorter than 127 bytes.
#[must_use]
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}
