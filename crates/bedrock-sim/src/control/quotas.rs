//! `ListServiceQuotas` and `ListAWSDefaultServiceQuotas`.

use serde::Serialize;

use super::{
    Action, begin, page,
    wire::{ControlError, QuotasAsked},
};
use crate::{ControlPlane, Scenario, ServiceQuotaSpec};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    quotas: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row<'a> {
    service_code: &'static str,
    service_name: &'static str,
    quota_arn: String,
    quota_code: &'a str,
    quota_name: &'a str,
    value: f64,
    unit: &'static str,
    adjustable: bool,
    global_quota: bool,
}

pub(super) fn list(
    plane: &ControlPlane,
    scenario: &Scenario,
    region: &str,
    asked: &QuotasAsked,
) -> Result<String, ControlError> {
    if asked.service_code != "bedrock" {
        return Err(ControlError::no_such_service());
    }
    if !(1..=100).contains(&asked.max_results) {
        return Err(ControlError::illegal_argument(
            "MaxResults is between 1 and 100.",
        ));
    }
    let list = format!("{}@{region}", asked.action.as_str());
    let from = begin(asked.next_token.as_deref(), &list)
        .ok_or_else(ControlError::invalid_pagination_token)?;
    let value = |quota: &ServiceQuotaSpec| match asked.action {
        Action::ListServiceQuotas => quota.value,
        _ => quota.default,
    };
    let is_here = |quota: &&ServiceQuotaSpec| {
        let regions = quota.regions.as_ref();
        regions.is_none_or(|regions| regions.iter().any(|one| one == region))
    };
    let quotas = plane.quotas.iter().filter(is_here);
    let rows = quotas.filter_map(|quota| {
        let account = match asked.action {
            Action::ListServiceQuotas => scenario.account(),
            _ => "",
        };
        Some(Row {
            service_code: "bedrock",
            service_name: "Amazon Bedrock",
            quota_arn: format!(
                "arn:aws:servicequotas:{region}:{account}:bedrock/{}",
                quota.code
            ),
            quota_code: &quota.code,
            quota_name: &quota.name,
            value: value(quota)?,
            unit: "None",
            adjustable: quota.adjustable,
            global_quota: false,
        })
    });
    let size = plane.page_size.min(asked.max_results);
    let (quotas, next_token) = page(rows.collect(), from, size, &list);
    ControlError::or_body(&Answer { next_token, quotas })
}
