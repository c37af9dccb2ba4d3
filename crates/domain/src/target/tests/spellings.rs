//! However the address of a closed network is spelled, it is refused; and no text makes the checks panic.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// An address of a closed network.
fn closed() -> impl Strategy<Value = Ipv4Addr> {
    let within = |first: [u8; 4], bits: u32| {
        let first = u32::from(Ipv4Addr::from(first));
        any::<u32>().prop_map(move |number| Ipv4Addr::from(first | number.checked_shr(bits).unwrap_or(0)))
    };
    prop_oneof![
        within([127, 0, 0, 0], 8),
        within([10, 0, 0, 0], 8),
        within([172, 16, 0, 0], 12),
        within([192, 168, 0, 0], 16),
        within([169, 254, 0, 0], 16),
        within([100, 64, 0, 0], 10),
        within([0, 0, 0, 0], 8),
        within([224, 0, 0, 0], 3),
        within([168, 63, 129, 16], 32),
        Just(Ipv4Addr::new(169, 254, 169, 254)),
    ]
}

/// Any address of the Internet.
fn open() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>()
        .prop_map(Ipv4Addr::from)
        .prop_filter("public", |address| AddressPolicy::default().permits((*address).into()))
}

/// How one number is written: its base, leading zeros, case.
type Digits = (u8, usize, bool);

fn write_number(number: u32, (base, zeros, upper): Digits) -> String {
    let zeros = "0".repeat(zeros);
    match (base, upper) {
        (8, _) => format!("0{zeros}{number:o}"),
        (16, false) => format!("0x{zeros}{number:x}"),
        (16, true) => format!("0X{zeros}{number:X}"),
        _ => number.to_string(),
    }
}

/// The forms of `inet_aton`: one to four parts, of which the last takes the rest.
fn write_parts(address: Ipv4Addr, parts: usize, digits: [Digits; 4]) -> String {
    let number = u32::from(address);
    let mut written: Vec<String> =
        (0..parts - 1).map(|part| write_number(address.octets()[part].into(), digits[part])).collect();
    let rest = number & u32::MAX.checked_shr(8 * u32::try_from(parts - 1).unwrap()).unwrap_or(0);
    written.push(write_number(rest, digits[3]));
    written.join(".")
}

/// Writes each character as one of those that mean the same in a host.
fn disguise(plain: &str, choices: &[u8]) -> String {
    let dots = ['.', '。', '．', '｡'];
    let mut text = String::new();
    for (character, choice) in plain.chars().zip(choices.iter().cycle()) {
        let wide = match character {
            '.' => dots[usize::from(choice / 4 % 4)],
            other => char::from_u32(u32::from(other) + 0xfee0).unwrap(),
        };
        match choice % 4 {
            0 => text.push(wide),
            1 => text.extend(character.to_string().bytes().map(|byte| format!("%{byte:02x}"))),
            2 => text.extend(wide.to_string().bytes().map(|byte| format!("%{byte:02X}"))),
            _ => text.push(character),
        }
    }
    text
}

fn spelling() -> impl Strategy<Value = (usize, [Digits; 4], Vec<u8>, bool)> {
    let digits = (prop_oneof![Just(8_u8), Just(10), Just(16)], 0..4_usize, any::<bool>());
    let disguise = prop_oneof![Just(vec![3]), prop::collection::vec(any::<u8>(), 1..9)];
    (1..5_usize, [digits.clone(), digits.clone(), digits.clone(), digits], disguise, any::<bool>())
}

fn spell(address: Ipv4Addr, (parts, digits, choices, dot): (usize, [Digits; 4], Vec<u8>, bool)) -> String {
    let plain = format!("{}{}", write_parts(address, parts, digits), if dot { "." } else { "" });
    format!("http://{}:8080/x?y", disguise(&plain, &choices))
}

/// IPv6 addresses that hold an IPv4 address, as text.
fn holding(address: Ipv4Addr, prefix: [u16; 4]) -> Vec<String> {
    let [a, b, c, d] = address.octets().map(u16::from);
    let (high, low) = ((a << 8) | b, (c << 8) | d);
    let [p, q, r, s] = prefix;
    let below = |id: u16| Ipv6Addr::new(0x2600 | (p & 0xff), q, r, s, id, 0x5efe, high, low).to_string();
    vec![
        format!("::ffff:{address}"),
        format!("::FFFF:{high:X}:{low:x}"),
        format!("0:0:0:0:0:ffff:{high:04x}:{low:04x}"),
        format!("::{address}"),
        format!("::ffff:0:{address}"),
        format!("64:ff9b::{address}"),
        format!("64:ff9b:1::{address}"),
        format!("64:ff9b:1:{high:x}:{c:x}:{d:x}00::"),
        format!("2002:{high:x}:{low:x}::{s:x}"),
        format!("2001:0:{q:x}:{r:x}:{s:x}:0:{:x}:{:x}", !high, !low),
        below(0),
        below(0x200),
    ]
}

fn verdict(text: &str) -> Result<Vec<IpAddr>, InvalidTarget> {
    AddressPolicy::default().check_host(&parse(text, WebhookKind::Generic, true)?)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_spelling_of_a_closed_address_passes(address in closed(), how in spelling()) {
        let url = spell(address, how);
        prop_assert_eq!(verdict(&url), Err(InvalidTarget::Address(address.into())), "{}", url);
    }

    /// Nothing that is public is refused for its spelling; and so the spellings above are refused for their address.
    #[test]
    fn every_spelling_of_an_open_address_passes(address in open(), how in spelling()) {
        let url = spell(address, how);
        prop_assert_eq!(verdict(&url), Ok(vec![address.into()]), "{}", url);
    }

    #[test]
    fn no_address_that_holds_a_closed_one_passes(address in closed(), prefix in any::<[u16; 4]>()) {
        for text in holding(address, prefix) {
            let url = format!("http://[{text}]/");
            let found = verdict(&url);
            prop_assert!(matches!(found, Err(InvalidTarget::Address(_))), "{}: {:?}", url, found);
        }
    }

    /// An opened network is open in every spelling of its addresses, and nothing that only holds one of them is.
    #[test]
    fn opening_a_network_opens_its_spellings(last in any::<[u8; 2]>(), how in spelling(), prefix in any::<[u16; 4]>()) {
        let address = Ipv4Addr::new(10, 1, last[0], last[1]);
        for opened in ["10.1.0.0/16", "::ffff:10.1.0.0/112"] {
            let policy = AddressPolicy::new(vec![opened.parse().unwrap()]);
            let permits = |url: &str| policy.check_host(&parse(url, WebhookKind::Generic, true).unwrap()).is_ok();
            let spelled = spell(address, how.clone());
            prop_assert!(permits(&spelled), "{}", spelled);
            for (place, text) in holding(address, prefix).into_iter().enumerate() {
                // The first three are IPv4-mapped.
                prop_assert_eq!(permits(&format!("http://[{text}]/")), place < 3, "{}", text);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}|.{0,40}", host in "\\PC{0,12}|[0-9a-fx.:%\\[\\]@#/\\\\-]{0,16}") {
        let with_host = [format!("http://{host}"), format!("https://{host}/{text}"), format!("http://[{host}]/")];
        for url in with_host.into_iter().chain([text]) {
            for kind in [WebhookKind::Generic, WebhookKind::Teams] {
                if let Ok(parsed) = parse(&url, kind, true) {
                    let _ = AddressPolicy::default().check_host(&parsed);
                    // What is stored is read back as itself.
                    prop_assert_eq!(parse(parsed.as_str(), kind, true), Ok(parsed));
                }
            }
        }
        let _ = AddressPolicy::default().check_name(&host);
    }
}
