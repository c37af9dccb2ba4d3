//! The public schema as other people's tools see it: every definition is documented, and every file says where its code
//! goes in the languages that need to be told.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are outside the functions marked as tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files of a package, with their text.
fn files(package: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/testmo/webhooks").join(package);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let protos = paths.filter(|path| path.extension().is_some_and(|extension| extension == "proto"));
    protos.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_definition_of_the_public_schema_has_a_comment() {
    let files = files("v1");
    assert_eq!(files.len(), 6);
    for (path, text) in files {
        let mut before = "";
        for line in text.lines() {
            let code = line.trim_start();
            if ["message ", "service ", "enum ", "rpc "].iter().any(|keyword| code.starts_with(keyword)) {
                assert!(before.trim_start().starts_with("//"), "{}: `{code}` has no comment", path.display());
            }
            if code.starts_with("service ") {
                let place = "The name goes without the suffix `Service` on purpose";
                assert!(text.contains(&format!("// {place}")), "{}: {place}", path.display());
            }
            before = line;
        }
    }
}

#[test]
fn every_file_says_where_its_code_goes() {
    for (package, options) in [
        (
            "v1",
            [
                r#"option csharp_namespace = "Testmo.Webhooks.V1";"#,
                r#"option go_package = "testmo.com/webhooks/v1;webhooksv1";"#,
                "option java_multiple_files = true;",
                r#"option java_package = "com.testmo.webhooks.v1";"#,
            ],
        ),
        (
            "internal/v1",
            [
                r#"option csharp_namespace = "Testmo.Webhooks.Internal.V1";"#,
                r#"option go_package = "testmo.com/webhooks/internal/v1;webhooksinternalv1";"#,
                "option java_multiple_files = true;",
                r#"option java_package = "com.testmo.webhooks.internal.v1";"#,
            ],
        ),
    ] {
        for (path, text) in files(package) {
            for option in options {
                assert!(text.lines().any(|line| line == option), "{} lacks {option}", path.display());
            }
        }
    }
}
