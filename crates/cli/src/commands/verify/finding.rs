//! What came of each signature, in words that lead to the mistake; never with what would have been right.

use std::time::Duration;

use domain::{Secret, SignatureError, StandardHeaders, Timestamp};

use super::given::{Given, STANDARD, Signatures, TESTMO};

/// What came of the signature in one header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Its name as people write it.
    pub(super) header: &'static str,
    /// Or why it does not count.
    pub(super) verdict: Result<(), String>,
}

/// Verifies each signature that there is. Without `tolerance` the time is not checked.
pub(super) fn check(secret: &Secret, given: &Given, now: Timestamp, tolerance: Duration) -> Vec<Finding> {
    let Given { signatures, body } = given;
    let standard = standard_headers(signatures);
    let standard_fits = matches!(&standard, Some(Ok(headers)) if secret.verify_standard(headers, body).is_ok());
    let testmo = signatures.testmo.as_ref().map(|signature| {
        let verdict = secret.verify_body(body, signature).map_err(|error| match error {
            SignatureError::Differs if standard_fits => {
                "this secret fits webhook-signature, but not this header: it may be the older one of a regenerated pair; \
                 use the new one"
                    .to_owned()
            }
            SignatureError::Differs => explain(error, secret.body_mistake(body, signature)),
            _ => error.to_string(),
        });
        Finding { header: TESTMO, verdict }
    });
    let standard = standard.map(|headers| {
        let verdict = headers.and_then(|headers| check_standard(secret, &headers, body, now, tolerance));
        Finding { header: STANDARD, verdict }
    });
    testmo.into_iter().chain(standard).collect()
}

/// The three headers, or which one is missing; `None` if there is none at all.
fn standard_headers(signatures: &Signatures) -> Option<Result<StandardHeaders<'_>, String>> {
    let Signatures { id, timestamp, standard, .. } = signatures;
    match (id, timestamp, standard) {
        (None, None, None) => None,
        (Some(id), Some(timestamp), Some(signatures)) => Some(Ok(StandardHeaders { id, timestamp, signatures })),
        _ => {
            let parts = [("webhook-id", id), ("webhook-timestamp", timestamp), (STANDARD, standard)];
            let missing: Vec<_> = parts.iter().filter(|(_, part)| part.is_none()).map(|(name, _)| *name).collect();
            Some(Err(format!("{} missing; all three headers belong together", missing.join(" and "))))
        }
    }
}

fn check_standard(
    secret: &Secret,
    headers: &StandardHeaders<'_>,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), String> {
    secret.verify_standard(headers, body).map_err(|error| match error {
        SignatureError::Differs => explain(error, secret.standard_mistake(headers, body)),
        _ => error.to_string(),
    })?;
    if tolerance.is_zero() {
        return Ok(());
    }
    headers.check_time(now, tolerance).map_err(|error| match error {
        SignatureError::TooOld { .. } => format!("{error}; for a delivery that was saved, use --tolerance 0"),
        _ => error.to_string(),
    })
}

fn explain(error: SignatureError, mistake: Option<domain::SigningMistake>) -> String {
    mistake.map_or_else(|| error.to_string(), |mistake| mistake.to_string())
}

#[cfg(test)]
mod tests {
    use domain::IdSource as _;

    use super::*;

    const BODY: &[u8] = b"{\"a\":1}";
    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const TOLERANCE: Duration = Duration::from_secs(300);

    fn given(signer: &Secret, sent: Timestamp) -> Given {
        let id = domain::SystemIds.uuid();
        Given {
            signatures: Signatures {
                testmo: Some(signer.sign_body(BODY)),
                id: Some(id.to_string()),
                timestamp: Some(sent.as_seconds().to_string()),
                standard: Some(signer.sign_standard(id, sent, BODY)),
            },
            body: BODY.to_vec(),
        }
    }

    fn reason(secret: &Secret, given: &Given, header: &str, tolerance: Duration) -> String {
        let findings = check(secret, given, NOW, tolerance);
        let finding = findings.iter().find(|finding| finding.header == header).unwrap();
        finding.verdict.clone().unwrap_err()
    }

    #[test]
    fn what_is_there_is_checked() {
        let secret = Secret::generate(&domain::SystemIds);
        let mut given = given(&secret, NOW);
        let headers = |given: &Given| {
            let findings = check(&secret, given, NOW, TOLERANCE);
            findings.into_iter().map(|finding| (finding.header, finding.verdict.is_ok())).collect::<Vec<_>>()
        };
        assert_eq!(headers(&given), [(TESTMO, true), (STANDARD, true)]);
        given.signatures.testmo = None;
        assert_eq!(headers(&given), [(STANDARD, true)]);
        given.signatures.timestamp = None;
        given.signatures.standard = None;
        assert_eq!(
            reason(&secret, &given, STANDARD, TOLERANCE),
            "webhook-timestamp and webhook-signature missing; all three headers belong together"
        );
    }

    #[test]
    fn the_time_counts_unless_told_otherwise() {
        let secret = Secret::generate(&domain::SystemIds);
        let old = given(&secret, NOW.minus(Duration::from_secs(3_600)));
        assert!(reason(&secret, &old, STANDARD, TOLERANCE).ends_with("use --tolerance 0"));
        for tolerance in [Duration::ZERO, Duration::from_secs(3_600)] {
            assert!(check(&secret, &old, NOW, tolerance).iter().all(|finding| finding.verdict.is_ok()));
        }
    }

    #[test]
    fn the_likely_mistake_is_named() {
        let [secret, other] = [(); 2].map(|()| Secret::generate(&domain::SystemIds));
        let right = given(&secret, NOW);
        let from_echo = Given { body: [BODY, b"\n"].concat(), ..given(&secret, NOW) };
        for header in [TESTMO, STANDARD] {
            assert!(reason(&secret, &from_echo, header, TOLERANCE).contains("without the line break at its end"));
            assert!(reason(&other, &right, header, TOLERANCE).contains("the body or the secret differs"));
        }
        // Regenerated: the header of the product's own has the new secret only.
        let mut overlap = given(&secret, NOW);
        overlap.signatures.testmo = Some(other.sign_body(BODY));
        assert!(reason(&secret, &overlap, TESTMO, TOLERANCE).contains("the older one"));
    }

    #[test]
    fn no_reason_tells_what_would_be_right() {
        let [secret, other] = [(); 2].map(|()| Secret::generate(&domain::SystemIds));
        let (right, wrong) = (given(&secret, NOW), given(&other, NOW));
        let mixed = Given { signatures: Signatures { id: right.signatures.id.clone(), ..wrong.signatures }, ..wrong };
        let told = format!("{:?}", check(&secret, &mixed, NOW, TOLERANCE));
        for text in [right.signatures.testmo, right.signatures.standard].into_iter().flatten() {
            let digest = &text[text.len() - 40..];
            assert!(!told.contains(digest), "{told}");
        }
        assert!(!told.contains(&secret.reveal()[6..]), "{told}");
    }
}
