//! PostgreSQL and RabbitMQ start, survive being killed, and are shared without being in each other's way.

use std::{net::TcpStream, process::Command};

use blackbox::{run_test, servers};

/// What a query answers, as text.
fn query(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname", url, "--command", sql])
        .current_dir("/")
        .output()
        .expect("psql, which comes with PostgreSQL");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn listens(url: &str) -> bool {
    let url = url::Url::parse(url).expect("an address");
    TcpStream::connect((url.host_str().expect("a host"), url.port().expect("a port"))).is_ok()
}

#[test]
fn databases_are_apart() {
    run_test(async {
        let (one, other) = (servers::database().await, servers::database().await);
        assert_ne!(one.url, other.url);
        query(&one.url, "CREATE TABLE t (id int)").expect("a new table");
        let error = query(&other.url, "SELECT * FROM t").expect_err("the table is in the other database");
        assert!(error.contains("does not exist"), "{error}");
    });
}

#[test]
fn postgres_keeps_what_was_committed() {
    run_test(async {
        let mut server = servers::own_postgres().await;
        let database = server.create_database();
        query(&database.url, "CREATE TABLE t AS SELECT 7 AS id").expect("a new table");
        server.kill();
        assert!(!listens(&database.url), "killed");
        server.resume();
        assert_eq!(query(&database.url, "SELECT id FROM t").as_deref(), Ok("7"));
    });
}

#[test]
fn virtual_hosts_are_apart() {
    run_test(async {
        let (one, other) = (servers::virtual_host().await, servers::virtual_host().await);
        assert_ne!(one.url, other.url);
        assert!(listens(&one.url) && listens(&other.url));
    });
}

#[test]
fn rabbit_comes_back_after_being_killed_and_stopped() {
    run_test(async {
        let mut server = servers::own_rabbit().await;
        let host = server.take_virtual_host();
        server.kill();
        assert!(!listens(&host.url), "killed");
        server.resume();
        assert!(listens(&host.url), "back on the same port");
        server.stop();
        assert!(!listens(&host.url), "stopped");
        server.resume();
        let another = server.take_virtual_host();
        assert_ne!(another.url, host.url);
    });
}
