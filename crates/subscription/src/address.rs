//! Whether a webhook's URL leads where it may: the address policy over every address of its host. The dispatcher asks
//! the same policy again about the address that it dials.

use std::{net::IpAddr, time::Duration};

use domain::{AddressPolicy, FieldError, InvalidTarget};
use url::{Host, Url};

const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
const FIX: &str = "the operator of the service can open networks with delivery.allow_networks";

/// Checks the host of a URL, looking it up where it is a name.
///
/// # Errors
/// A mistake in `url`: an address that is not permitted, or a name without one.
pub(crate) async fn check(
    policy: &AddressPolicy,
    resolver: &dyn runtime::Resolver,
    url: &Url,
) -> Result<(), FieldError> {
    let known = policy.check_host(url).map_err(|error| refused(&error))?;
    let Some(Host::Domain(name)) = url.host().filter(|_| known.is_empty()) else { return Ok(()) };
    let addresses = look_up(resolver, name, RESOLVE_TIMEOUT).await?;
    if addresses.into_iter().all(|address| policy.permits(address)) {
        return Ok(());
    }
    // Without the address: whoever may save a webhook could otherwise read the names of the internal network.
    let message = format!("must not lead to a private, internal or reserved address, as host {name} does; {FIX}");
    Err(FieldError::new("url", message))
}

/// What stands in the URL itself may be told.
fn refused(error: &InvalidTarget) -> FieldError {
    let closed = matches!(error, InvalidTarget::Address(_) | InvalidTarget::InternalName(_));
    FieldError::new("url", if closed { format!("{error}; {FIX}") } else { error.to_string() })
}

async fn look_up(resolver: &dyn runtime::Resolver, name: &str, patience: Duration) -> Result<Vec<IpAddr>, FieldError> {
    let reason = match tokio::time::timeout(patience, resolver.resolve(name)).await {
        Ok(Ok(addresses)) if !addresses.is_empty() => return Ok(addresses),
        Ok(_) => "check its spelling".to_owned(),
        Err(_) => format!("no answer within {} s, try again", patience.as_secs()),
    };
    Err(FieldError::new("url", format!("host {name} does not resolve; {reason}")))
}

#[cfg(test)]
mod tests {
    use std::io;

    use async_trait::async_trait;

    use super::*;

    /// Answers with the addresses in the name: `8-8-8-8.10-0-0-1.example` has two.
    struct Spelled;

    #[async_trait]
    impl runtime::Resolver for Spelled {
        async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
            if host == "hangs.example" {
                std::future::pending::<()>().await;
            }
            Ok(host.split('.').filter_map(|label| label.replace('-', ".").parse().ok()).collect())
        }
    }

    async fn verdict(url: &str) -> Result<(), String> {
        let policy = AddressPolicy::new(vec!["10.1.0.0/16".parse().unwrap()]);
        check(&policy, &Spelled, &url.parse().unwrap()).await.map_err(|error| error.message)
    }

    #[tokio::test]
    async fn every_address_counts() {
        for good in ["https://8-8-8-8.example/", "https://8.8.8.8/", "https://8-8-8-8.10-1-0-1.example/"] {
            assert_eq!(verdict(good).await, Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("https://8-8-8-8.10-0-0-1.example/", "reserved address, as host 8-8-8-8.10-0-0-1.example does; "),
            ("https://127-0-0-1.8-8-8-8.example/", "reserved address, as host 127-0-0-1.8-8-8-8.example does; "),
            ("https://169-254-169-254.example/", "reserved address, as host 169-254-169-254.example does; "),
            ("https://2130706433/", "reserved address (127.0.0.1); "),
            ("https://localhost/", "internal host name (localhost); "),
        ] {
            let found = verdict(bad).await.unwrap_err();
            let expected = format!("{reason}{FIX}");
            assert!(found.ends_with(&expected), "{bad}: {found}");
        }
        let unknown = verdict("https://nothing.example/").await.unwrap_err();
        assert_eq!(unknown, "host nothing.example does not resolve; check its spelling");
    }

    #[tokio::test]
    async fn what_a_name_resolves_to_is_not_told() {
        for host in ["8-8-8-8.10-0-0-1.example", "127-0-0-1.example", "169-254-169-254.example"] {
            let found = verdict(&format!("https://{host}/")).await.unwrap_err();
            assert!(!["10.0.0.1", "127.0.0.1", "169.254"].iter().any(|address| found.contains(address)), "{found}");
        }
    }

    #[tokio::test]
    async fn a_resolver_that_hangs_is_not_waited_for() {
        let found = look_up(&Spelled, "hangs.example", Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(found.message, "host hangs.example does not resolve; no answer within 0 s, try again");
    }
}
