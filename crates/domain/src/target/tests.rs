//! Tests of the rules of URLs and names; of addresses in `iana`, of their spellings in `spellings`.

mod iana;
mod spellings;

use std::net::Ipv6Addr;

use super::*;

fn verdict(text: &str) -> Result<Vec<IpAddr>, InvalidTarget> {
    AddressPolicy::default().check_host(&parse(text, WebhookKind::Generic, true)?)
}

#[test]
fn the_corpus_gets_its_verdicts() {
    // Split at line feeds only: other breaks belong to URLs.
    let lines: Vec<_> =
        include_str!("corpus.tsv").split_terminator('\n').filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() > 250);
    let mut wrong = Vec::new();
    for line in lines {
        let (expected, url) = line.split_once('\t').unwrap();
        assert!(["accept", "reject"].contains(&expected), "{line:?}");
        let found = verdict(url);
        if found.is_ok() != (expected == "accept") {
            wrong.push(format!("{expected} {url:?}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn http_needs_consent_and_generic() {
    assert!(parse("http://example.com/", WebhookKind::Generic, false).is_err());
    assert!(parse("http://example.com/", WebhookKind::Slack, true).is_err());
    assert!(parse("https://example.com/", WebhookKind::Slack, false).is_ok());
    let long = format!("https://example.com/{}", "x".repeat(2_048));
    assert_eq!(parse(&long, WebhookKind::Generic, false), Err(InvalidTarget::TooLong));
}

#[test]
fn retired_connectors_are_refused_for_teams() {
    for retired in [
        "https://acme.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/u",
        "https://ACME.Webhook.Office.com./",
        "https://webhook.office.com/x",
        "https://acme.webhook.office365.com/webhookb2/x",
        "https://outlook.office.com/webhook/x@y/IncomingWebhook/z/u",
        "https://outlook.office.com/webhookb2/x",
        "https://outlook.office365.com/Webhook/x",
    ] {
        assert_eq!(parse(retired, WebhookKind::Teams, false), Err(InvalidTarget::RetiredConnector), "{retired}");
        assert!(parse(retired, WebhookKind::Generic, false).is_ok(), "{retired}");
    }
    for good in [
        "https://prod-1.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke?sig=y",
        "https://default.1.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/x",
        "https://notwebhook.office.com/",
        "https://outlook.office.com/mail",
        "https://webhook.office.com.example.com/webhook/",
    ] {
        assert!(parse(good, WebhookKind::Teams, false).is_ok(), "{good}");
    }
    let message = InvalidTarget::RetiredConnector.to_string();
    assert!(message.contains("Workflows (Power Automate)"), "{message}");
}

#[test]
fn secret_parts_are_masked() {
    let mask = |text: &str, kind| mask(&Url::parse(text).unwrap(), kind);
    let masked = "https://a.example/hook?token=…&…&a%0ab=…";
    assert_eq!(mask("https://a.example/hook?token=x&secret&a%0ab=c=d", WebhookKind::Generic), masked);
    assert_eq!(mask("https://hooks.slack.com/services/T/B/X", WebhookKind::Slack), "https://hooks.slack.com/…");
    assert_eq!(mask("http://a.example:81/", WebhookKind::Generic), "http://a.example:81/");
}

#[test]
fn opened_networks_are_permitted_and_no_others() {
    let policy = AddressPolicy::new(vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
    for (address, expected) in
        [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false), ("::1", true), ("127.0.0.1", false)]
    {
        assert_eq!(policy.permits(address.parse().unwrap()), expected, "{address}");
    }
    let url = |text| parse(text, WebhookKind::Generic, true).unwrap();
    assert_eq!(policy.check_host(&url("http://localhost/")), Ok(vec![Ipv6Addr::LOCALHOST.into()]));
    assert_eq!(policy.check_host(&url("http://jenkins.internal/")), Ok(Vec::new()));
}

#[test]
fn each_rule_is_told_apart() {
    let error = |text: &str| verdict(text).unwrap_err();
    let syntax = |text: &str| matches!(error(text), InvalidTarget::Syntax(_));
    for text in ["", " ", "example.com", "https:example.com", "https:///example.com/", "https:\\\\example.com"] {
        assert!(syntax(text), "{text}");
    }
    // What does not fit into the corpus.
    for control in ['\t', '\n', '\r', '\0', '\u{7}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'] {
        for text in [
            format!("http://127.0.0.{control}1/"),
            format!("http://exa{control}mple.com/"),
            format!("ht{control}tp://example.com/"),
            format!("http:/{control}/example.com/"),
            format!("https://example.com/a{control}b"),
            format!("https://example.com/?a{control}b"),
        ] {
            assert!(syntax(&text), "{text:?}");
        }
    }
    assert!(matches!(error("ftp://example.com/"), InvalidTarget::Scheme(_)));
    assert_eq!(error("https://@example.com/"), InvalidTarget::UserInfo);
    assert_eq!(error("https://example.com/#"), InvalidTarget::Fragment);
    assert_eq!(error("https://example.com:0/"), InvalidTarget::Port);
    assert_eq!(error("https://-a.example.com/"), InvalidTarget::Host);
    assert_eq!(error("https://x.onion/"), InvalidTarget::Host);
    assert_eq!(error("https://x.internal./"), InvalidTarget::InternalName("internal"));
    assert_eq!(error("https://intranet/"), InvalidTarget::InternalName("a name without a dot"));
    assert_eq!(error("https://0x7f.1/"), InvalidTarget::Address([127, 0, 0, 1].into()));
}

#[test]
fn outer_space_is_no_part_of_a_url() {
    for text in [" https://example.com/ ", "\nhttps://example.com/\r\n", "\u{3000}https://example.com/\u{a0}"] {
        assert_eq!(parse(text, WebhookKind::Slack, false).unwrap().as_str(), "https://example.com/", "{text:?}");
        assert!(verdict(&text.replace("example.com", "127.0.0.1")).is_err());
    }
}

#[test]
fn what_is_stored_is_not_too_long_either() {
    let grows = format!("https://example.com/{}", "ü".repeat(2_000));
    assert_eq!(parse(&grows, WebhookKind::Generic, false), Err(InvalidTarget::TooLong));
    let longest = format!("https://example.com/{}", "x".repeat(2_028));
    assert_eq!(parse(&longest, WebhookKind::Generic, false).map(String::from), Ok(longest));
}

#[test]
fn names_of_an_opened_network_are_looked_up() {
    let opened = AddressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()]);
    for name in ["jenkins", "jenkins.internal", "printer.local", "ci.home.arpa", "localhost.localdomain", "JENKINS."] {
        assert_eq!(opened.check_name(name), Ok(Vec::new()), "{name}");
        assert!(matches!(AddressPolicy::default().check_name(name), Err(InvalidTarget::InternalName(_))), "{name}");
    }
    // This host is no part of it.
    for name in ["localhost", "x.localhost", "LOCALHOST."] {
        assert_eq!(opened.check_name(name), Err(InvalidTarget::InternalName("localhost")), "{name}");
    }
    let loopback = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(loopback.check_name("x.localhost."), Ok(vec![[127, 0, 0, 1].into()]));
}

#[test]
fn a_network_that_holds_others_is_opened_by_its_own_name() {
    let permits = |network: &str, address: &str| {
        AddressPolicy::new(vec![network.parse().unwrap()]).permits(address.parse().unwrap())
    };
    assert!(permits("64:ff9b::a01:0/112", "64:ff9b::10.1.2.3") && !permits("10.1.0.0/16", "64:ff9b::10.1.2.3"));
    assert!(permits("64:ff9b:1::/48", "64:ff9b:1::10.1.2.3") && !permits("64:ff9b::/96", "64:ff9b:1::1"));
    assert!(!permits("64:ff9b::a01:0/112", "10.1.2.3"), "the other way round no more than so");
    assert!(permits("::ffff:10.1.0.0/112", "10.1.2.3") && !permits("::ffff:10.1.0.0/112", "10.2.0.1"));
    assert!(permits("::ffff:0:0/96", "10.2.0.1") && !permits("::/0", "10.2.0.1") && permits("::/0", "fd00::1"));
}
