//! `tower-bedrock quotas`.

mod list;

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;
use tower_bedrock::{
    Limit, ModelId, QuotaPath,
    quotas::{AccountQuotas, ModelQuota, QuotaRow},
};

use crate::output::{self, Failure};

#[derive(Args)]
pub(crate) struct Quotas {
    /// What `aws service-quotas list-service-quotas --service-code bedrock` printed; `-` is standard
    /// input.
    #[arg(value_name = "FILE")]
    list: PathBuf,
    /// Only this model, by its id or ARN, on the path that the id takes; may be given more than once.
    #[arg(long, value_name = "ID")]
    model: Vec<String>,
    /// Prints the request for an increase of the model's tokens per minute to this value.
    #[arg(long, value_name = "N", requires = "model", value_parser = clap::value_parser!(u64).range(1..))]
    raise_tokens_per_minute: Option<u64>,
    /// Prints the request for an increase of the model's requests per minute to this value.
    #[arg(long, value_name = "N", requires = "model", value_parser = clap::value_parser!(u64).range(1..))]
    raise_requests_per_minute: Option<u64>,
    /// The region of the list, for the request.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// What an account may do.
#[derive(Serialize)]
struct Answer {
    quotas: Vec<Line>,
    /// Commands that ask for an increase. They are not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<String>,
    /// Rows of the list that do not limit calls of a model on demand.
    rows_passed_over: usize,
}

#[derive(Serialize)]
struct Line {
    model: String,
    path: &'static str,
    requests_per_minute: Option<Value>,
    tokens_per_minute: Option<Value>,
    tokens_per_day: Option<Value>,
}

#[derive(Serialize)]
struct Value {
    value: u64,
    code: String,
    adjustable: bool,
}

impl Quotas {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let account = list::read(&self.list)?;
        let mut answer = Answer {
            quotas: Vec::new(),
            requests: Vec::new(),
            rows_passed_over: account.ignored(),
        };
        if self.model.is_empty() {
            answer.quotas = everything(&account);
        }
        for id in &self.model {
            let asked = |error: &dyn std::fmt::Display| Failure::Asked(error.to_string());
            let model: ModelId = id
                .parse()
                .map_err(|error| asked(&format!("--model: {error}")))?;
            let quota = account.of(&model).map_err(|error| asked(&error))?;
            answer.requests.extend(self.requests(id, &quota)?);
            answer
                .quotas
                .push(Line::of(id.clone(), model.quota_path(), |limit| {
                    quota.row(limit)
                }));
        }
        output::print(&answer, self.json, Answer::text)
    }

    fn requests(&self, id: &str, quota: &ModelQuota<'_>) -> Result<Vec<String>, Failure> {
        let raises = [
            (Limit::TokensPerMinute, self.raise_tokens_per_minute),
            (Limit::RequestsPerMinute, self.raise_requests_per_minute),
        ];
        let wanted = raises
            .into_iter()
            .filter_map(|(limit, to)| Some((limit, to?)));
        wanted
            .map(|(limit, to)| {
                let row = quota.row(limit).ok_or_else(|| {
                    Failure::Asked(format!("{id} has no quota of {}", words(limit)))
                })?;
                self.request(id, row, to).map_err(Failure::Asked)
            })
            .collect()
    }

    fn request(&self, id: &str, row: &QuotaRow, to: u64) -> Result<String, String> {
        let limit = words(row.limit);
        if to <= row.value {
            return Err(format!(
                "{limit} of {id} are {} already, not below {to}",
                row.value
            ));
        }
        if !row.is_adjustable {
            return Err(format!(
                "{limit} of {id} ({}) cannot be raised in Service Quotas: open a case with AWS support",
                row.code
            ));
        }
        let region = match &self.region {
            Some(region) => format!(" --region {region}"),
            None => String::new(),
        };
        Ok(format!(
            "aws service-quotas request-service-quota-increase --service-code bedrock --quota-code {} \
             --desired-value {to}{region}",
            row.code
        ))
    }
}

/// Every row of the account, a line for each model and path.
fn everything(account: &AccountQuotas) -> Vec<Line> {
    const PATHS: [QuotaPath; 3] = [QuotaPath::InRegion, QuotaPath::Geo, QuotaPath::Global];
    let mut lines: BTreeMap<(String, usize), Vec<&QuotaRow>> = BTreeMap::new();
    for row in account.rows() {
        for path in row.paths {
            let order = PATHS
                .iter()
                .position(|known| known == path)
                .unwrap_or(PATHS.len());
            lines
                .entry((row.model.clone(), order))
                .or_default()
                .push(row);
        }
    }
    // Tokens per day stand for two paths; that alone does not make a path of a model that has none.
    lines
        .into_iter()
        .filter(|(_, rows)| rows.iter().any(|row| row.paths.len() == 1))
        .map(|((model, order), rows)| {
            Line::of(model, PATHS[order], |limit| {
                rows.iter().find(|row| row.limit == limit).copied()
            })
        })
        .collect()
}

impl Line {
    fn of<'a>(model: String, path: QuotaPath, row: impl Fn(Limit) -> Option<&'a QuotaRow>) -> Self {
        let value = |limit| row(limit).map(Value::of);
        Self {
            model,
            path: path.as_str(),
            requests_per_minute: value(Limit::RequestsPerMinute),
            tokens_per_minute: value(Limit::TokensPerMinute),
            tokens_per_day: value(Limit::TokensPerDay),
        }
    }
}

impl Value {
    fn of(row: &QuotaRow) -> Self {
        Self {
            value: row.value,
            code: row.code.clone(),
            adjustable: row.is_adjustable,
        }
    }

    fn shown(value: Option<&Self>) -> String {
        let Some(Self {
            value,
            code,
            adjustable,
        }) = value
        else {
            return "-".to_owned();
        };
        let fixed = if *adjustable { "" } else { ", fixed" };
        format!("{value} ({code}{fixed})")
    }
}

impl Answer {
    fn text(&self) -> String {
        let mut table = output::table();
        table.set_header([
            "model",
            "path",
            "requests per minute",
            "tokens per minute",
            "tokens per day",
        ]);
        for line in &self.quotas {
            table.add_row([
                line.model.clone(),
                line.path.to_owned(),
                Value::shown(line.requests_per_minute.as_ref()),
                Value::shown(line.tokens_per_minute.as_ref()),
                Value::shown(line.tokens_per_day.as_ref()),
            ]);
        }
        let mut text = output::lines(&table);
        if !self.requests.is_empty() {
            text.push_str("\n\nTo ask for the increase, run:");
            for request in &self.requests {
                text.push_str("\n  ");
                text.push_str(request);
            }
        }
        text
    }
}

const fn words(limit: Limit) -> &'static str {
    match limit {
        Limit::RequestsPerMinute => "requests per minute",
        Limit::TokensPerMinute => "tokens per minute",
        Limit::TokensPerDay => "tokens per day",
        _ => "calls",
    }
}
