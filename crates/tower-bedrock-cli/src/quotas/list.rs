//! What `aws service-quotas list-service-quotas` prints.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use serde::Deserialize;
use tower_bedrock::quotas::{AccountQuotas, ServiceQuota};

use crate::output::Failure;

/// How the list is had.
const HINT: &str =
    "expected what this prints:\n  aws service-quotas list-service-quotas --service-code bedrock";

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Listed(Listed),
    Rows(Vec<Row>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    quotas: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    quota_code: String,
    quota_name: String,
    value: f64,
    #[serde(default)]
    adjustable: bool,
    #[serde(default)]
    service_code: Option<String>,
}

/// Reads `file`, or standard input for `-`.
pub(super) fn read(file: &Path) -> Result<AccountQuotas, Failure> {
    let shown = file.display();
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    }
    .map_err(|error| Failure::Asked(format!("cannot read {shown}: {error}")))?;
    parse(&text).map_err(|reason| Failure::Asked(format!("{shown}: {reason}; {HINT}")))
}

fn parse(text: &str) -> Result<AccountQuotas, String> {
    // First as JSON at all, which tells the line; what fits no form of ours tells none.
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let document: Document =
        serde_json::from_value(value).map_err(|_| "not a list of quotas".to_owned())?;
    let (Document::Listed(Listed { quotas: rows }) | Document::Rows(rows)) = document;
    let others = |row: &Row| {
        row.service_code
            .as_deref()
            .is_some_and(|code| code != "bedrock")
    };
    if let Some(row) = rows.iter().find(|row| others(row)) {
        let service = row.service_code.as_deref().unwrap_or_default();
        return Err(format!("these are the quotas of {service}, not of bedrock"));
    }
    let account = AccountQuotas::new(rows.into_iter().map(|row| {
        ServiceQuota::new(row.quota_code, row.quota_name, row.value).adjustable(row.adjustable)
    }));
    if account.rows().is_empty() {
        return Err(format!(
            "none of its {} rows limits calls of a model",
            account.ignored()
        ));
    }
    Ok(account)
}
