//! What is permitted when a webhook is saved.

use std::time::{Duration, Instant};

use blackbox::{product::Mode, rest::Answer, webhooks};
use futures::{StreamExt as _, stream};

use super::world::{Lookup, PUBLIC, World};

/// Requests under way at a time.
const ABREAST: usize = 8;

/// What saving a webhook with this URL would be answered.
async fn try_save(world: &World, url: &str) -> Answer {
    world.rest.post("/api/v1/webhooks?validate_only=true", webhooks::generic(url)).await
}

/// The complaint about the URL; panics if it is not refused, or for anything else.
#[track_caller]
fn complaint(answer: &Answer) -> String {
    answer.expect_error(422, None, &["url"]);
    answer.json["errors"]["url"].to_string()
}

async fn every_line_of_the_corpus_has_its_verdict(mode: Mode) {
    let world = World::start(mode, &[]).await;
    // Split at line feeds only: other breaks belong to URLs.
    let corpus = include_str!("../../../../domain/src/target/corpus.tsv").split_terminator('\n');
    let lines: Vec<_> = corpus.filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() > 600, "{} lines", lines.len());
    let check = async |line: &str| {
        let (verdict, url) = line.split_once('\t').unwrap();
        let answer = try_save(&world, url).await;
        let errors = answer.json["errors"].as_object();
        let about_url = errors.is_some_and(|errors| errors.len() == 1 && errors.contains_key("url"));
        let right = match verdict {
            "accept" => answer.status == 200,
            "reject" => answer.status == 422 && about_url,
            other => panic!("no verdict: {other:?}"),
        };
        (!right).then(|| format!("{verdict} {url:?}: {} {}", answer.status, answer.json))
    };
    let wrong: Vec<_> =
        stream::iter(lines).map(check).buffered(ABREAST).filter_map(async |wrong| wrong).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.end().await;
}

async fn every_address_of_a_name_counts_at_save(mode: Mode) {
    let world = World::start(mode, &[]).await;
    let many = |last: &str| {
        let mut addresses: Vec<String> = (0..499).map(|n| format!("93.184.{}.{}", n / 250, n % 250 + 1)).collect();
        addresses.push(last.to_owned());
        Lookup::leads(&addresses.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let public = PUBLIC.to_string();
    // What a CNAME leads to is what a resolver answers with for the alias.
    for (host, lookup) in [
        ("mixed.example", Lookup::leads(&[&public, "10.0.0.1"])),
        ("mixed6.example", Lookup::leads(&[&public, "fd00::1"])),
        ("alias.example", Lookup::leads(&["10.0.0.1"])),
        ("loopback.example", Lookup::leads(&["127.0.0.1"])),
        ("metadata.example", Lookup::leads(&["169.254.169.254"])),
        ("aaaa.example", Lookup::leads(&["fd00::1"])),
        ("nat64.example", Lookup::leads(&["64:ff9b::a00:1"])),
        ("mapped.example", Lookup::leads(&["::ffff:10.0.0.1"])),
        ("many-but-one.example", many("10.0.0.1")),
    ] {
        world.resolver.set(host, lookup);
        let complaint = complaint(&try_save(&world, &format!("http://{host}/hook")).await);
        assert!(complaint.contains("must not lead to a private, internal or reserved address"), "{host}: {complaint}");
        assert!(complaint.contains(host), "{host}: {complaint}");
        let told = ["10.0.0.1", "127.0.0.1", "169.254", "fd00", "64:ff9b", "a00:1", "93.184"];
        assert!(!told.iter().any(|address| complaint.contains(address)), "{host} is told: {complaint}");
    }
    for (host, lookup) in [
        ("one.example", Lookup::leads(&[&public])),
        ("both.example", Lookup::leads(&[&public, "2606:4700:4700::1111"])),
        ("nat64-public.example", Lookup::leads(&["64:ff9b::808:808"])),
        ("many.example", many("93.184.216.34")),
    ] {
        world.resolver.set(host, lookup);
        let start = Instant::now();
        let made = webhooks::create_generic(&world.rest, &format!("http://{host}/hook")).await;
        assert!(start.elapsed() < Duration::from_secs(3), "{host} took {:?}", start.elapsed());
        assert!(made.id > 0);
    }
    world.end().await;
}

async fn a_name_without_an_answer_is_refused_at_save(mode: Mode) {
    let world = World::start(mode, &[]).await;
    world.resolver.set("unknown.example", Lookup::Unknown);
    world.resolver.set("nowhere.example", Lookup::Leads(Vec::new()));
    world.resolver.set("silent.example", Lookup::Silent);
    for host in ["unknown.example", "nowhere.example"] {
        let complaint = complaint(&try_save(&world, &format!("https://{host}/")).await);
        assert!(complaint.contains(&format!("host {host} does not resolve")), "{complaint}");
    }
    let start = Instant::now();
    let complaint = complaint(&try_save(&world, "https://silent.example/").await);
    let taken = start.elapsed();
    assert!(complaint.contains("host silent.example does not resolve; no answer within"), "{complaint}");
    assert!(taken < Duration::from_secs(7), "refused after {taken:?}");
    // A name that is refused is not remembered: it may be put right.
    world.resolver.set("silent.example", Lookup::Leads(vec![PUBLIC]));
    assert_eq!(try_save(&world, "https://silent.example/").await.status, 200);
    world.end().await;
}

blackbox::in_both_modes!(
    every_line_of_the_corpus_has_its_verdict,
    every_address_of_a_name_counts_at_save,
    a_name_without_an_answer_is_refused_at_save,
);
