//! Requests to create and to change a webhook, written out whole: their own `Debug` leaves out what may be a secret.

use proto::v1;

/// As `Debug` would be derived.
macro_rules! written_out {
    ($message:expr, $name:literal, $($field:ident),+ ; headers: $headers:expr) => {
        format!("{} {{ {}headers: {} }}", $name, [$(format!("{}: {:?}, ", stringify!($field), $message.$field)),+].concat(), $headers)
    };
}

pub(crate) fn created(request: &v1::CreateWebhookRequest) -> String {
    let headers = list(&request.headers);
    written_out!(
        request, "CreateWebhookRequest", name, url, r#type, events, projects, allow_insecure, send_traceparent, filter, inactive, validate_only;
        headers: headers
    )
}

pub(crate) fn updated(request: &v1::UpdateWebhookRequest) -> String {
    let headers = match &request.headers {
        Some(v1::CustomHeaderList { headers }) => format!("Some({})", list(headers)),
        None => "None".to_owned(),
    };
    written_out!(
        request, "UpdateWebhookRequest", id, if_version, name, url, r#type, events, allow_insecure, send_traceparent, filter, active,
        validate_only, scope;
        headers: headers
    )
}

fn list(headers: &[v1::CustomHeader]) -> String {
    let pairs: Vec<(&str, &str)> = headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect();
    format!("{pairs:?}")
}
