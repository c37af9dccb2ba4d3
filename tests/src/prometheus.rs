//! A Prometheus of our own that watches a product with the alerts of `deploy/prometheus`, in quick motion.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use hyper::Method;
use serde_json::Value;

use crate::{ports, process::Process, product::Product, rest::Rest, run, servers, wait::eventually};

/// By how much time passes more quickly for the alerts.
pub const QUICKER: u32 = 30;
const READY: Duration = Duration::from_secs(60);

/// Runs until it is dropped.
pub struct Prometheus {
    api: Rest,
    folder: PathBuf,
    process: Process,
}

impl Prometheus {
    /// Watches every program of a product, and the RabbitMQ that tells its metrics on a port. Waits until all answer, and
    /// until nobody is missed any more: before its first look, it knows of none.
    pub async fn watch(product: &Product, rabbit: u16) -> Self {
        let folder = run::folder("prometheus");
        let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/alerts.yml");
        let alerts = fs::read_to_string(alerts).expect("the alerts");
        fs::write(folder.join("alerts.yml"), quickened(&alerts)).expect("room for them");
        fs::write(folder.join("prometheus.yml"), configuration(product, rabbit)).expect("room for it");
        let port = ports::free();
        let program = servers::installed(&servers::on_path("prometheus"), "prometheus");
        let mut command = Command::new(program);
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(&folder).stdin(Stdio::null());
        let process = Process::start("prometheus", &mut command, &folder, "KILL");
        let prometheus = Self { api: Rest::new(([127, 0, 0, 1], port).into(), None), folder, process };
        eventually(READY, "Prometheus gets an answer of all", async || {
            let targets = prometheus.ask("/api/v1/targets?state=active").await?;
            let targets = targets["activeTargets"].as_array()?;
            let all = targets.len() == product.programs().len() + 1;
            let alerts = prometheus.ask("/api/v1/alerts").await?;
            (all && targets.iter().all(|target| target["health"] == "up") && alerts["alerts"].as_array()?.is_empty())
                .then_some(())
        })
        .await;
        prometheus
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        let answer = self.api.try_send(Method::GET, path, None).await.ok()?;
        Some(answer.json["data"].clone())
    }

    /// The alerts that somebody would be told of now.
    pub async fn firing(&self) -> BTreeSet<String> {
        let told = self.ask("/api/v1/alerts").await.unwrap_or_else(|| panic!("{}", self.process.tail()));
        let alerts = told["alerts"].as_array().unwrap_or_else(|| panic!("no alerts in {told}"));
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"]["alertname"].as_str().expect("a name").to_owned()).collect()
    }

    /// Waits until somebody would be told of this.
    pub async fn fires(&self, alert: &str, timeout: Duration) {
        eventually(timeout, format!("{alert} fires"), async || self.firing().await.contains(alert).then_some(())).await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill();
        run::remove(&self.folder);
    }
}

fn configuration(product: &Product, rabbit: u16) -> String {
    let mut text = "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\n\
         rule_files: [alerts.yml]\nscrape_configs:\n  - job_name: testmo-webhooks\n    static_configs:\n"
        .to_owned();
    for program in product.programs() {
        let (service, address) = (program.service.to_string(), product.health(*program).address());
        let service = service.trim_start_matches("testmo-");
        writeln!(text, "      - {{targets: [\"{address}\"], labels: {{service: {service}}}}}").expect("text grows");
    }
    let rabbit = format!("  - {{job_name: rabbitmq, static_configs: [{{targets: [\"127.0.0.1:{rabbit}\"]}}]}}\n");
    text + &rabbit
}

/// Rules in which every time, after `for:` and in brackets, is shorter.
fn quickened(rules: &str) -> String {
    let mut quick = String::new();
    for line in rules.lines() {
        match line.trim_start().strip_prefix("for: ").and_then(shorter) {
            Some(time) => quick += &line.replace(line.trim_start(), &format!("for: {time}")),
            None => quick += &in_brackets(line),
        }
        quick.push('\n');
    }
    quick
}

fn in_brackets(line: &str) -> String {
    let mut parts = line.split('[');
    let mut quick = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (range, rest) = part.split_once(']').expect("a bracket that is closed");
        let times: Option<Vec<_>> = range.split(':').map(shorter).collect();
        let range = times.map_or_else(|| range.to_owned(), |times| times.join(":"));
        write!(quick, "[{range}]{rest}").expect("text grows");
    }
    quick
}

/// `None`: it is not a time.
fn shorter(time: &str) -> Option<String> {
    let (number, unit) = time.split_at_checked(time.len().checked_sub(1)?)?;
    let seconds =
        number.parse::<u32>().ok()? * [("s", 1), ("m", 60), ("h", 3600)].iter().find(|(name, _)| *name == unit)?.1;
    Some(format!("{}ms", seconds * 1_000 / QUICKER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_are_made_shorter() {
        let rules = "rule_files: [alerts.yml]\n  for: 1m\n  expr: max_over_time(a{b=~\"c|d\"}[1h:1m]) > 30 or rate(e[5m]) > 1\n";
        let expected = "rule_files: [alerts.yml]\n  for: 2000ms\n  expr: max_over_time(a{b=~\"c|d\"}[120000ms:2000ms]) > 30 or rate(e[10000ms]) > 1\n";
        assert_eq!(quickened(rules), expected);
    }
}
