//! `tower-bedrock quotas`.

mod list;
#[cfg(feature = "live")]
mod live;

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
    #[cfg_attr(
        feature = "live",
        arg(value_name = "FILE", required_unless_present = "live")
    )]
    #[cfg_attr(not(feature = "live"), arg(value_name = "FILE", required = true))]
    list: Option<PathBuf>,
    #[cfg(feature = "live")]
    #[command(flatten)]
    live: live::Live,
    /// Only this model, by its id or ARN, on the path that the id takes; may be given more than once.
    #[arg(long, value_name = "ID")]
    model: Vec<String>,
    /// Prints the request for an increase of the model's tokens per minute to this value.
    #[arg(long, value_name = "N", requires = "model", value_parser = clap::value_parser!(u64).range(1..))]
    raise_tokens_per_minute: Option<u64>,
    /// Prints the request for an increase of the model's requests per minute to this value.
    #[arg(long, value_name = "N", requires = "model", value_parser = clap::value_parser!(u64).range(1..))]
    raise_requests_per_minute: Option<u64>,
    /// The region of the list, for the request. With `--live` a region to ask; may be given more than
    /// once, and is the one of the AWS configuration by default.
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// What an account may do.
#[derive(Default, Serialize)]
struct Answer {
    quotas: Vec<Line>,
    /// Commands that ask for an increase. They are not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<String>,
    /// Rows of the list that do not limit calls of a model on demand.
    rows_passed_over: usize,
    /// What was not read, or leaves a doubt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// Actions to allow, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_permissions: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
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
    /// Whether it is AWS's default, because the account has no value of its own, or none that could be
    /// read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
}

/// The quotas of a region, and what is told of them beside their rows.
struct Listed<'a> {
    account: &'a AccountQuotas,
    region: Option<&'a str>,
    /// What models that do not tell it stand for.
    stands_for: &'a dyn Fn(&ModelId) -> ModelId,
    /// Whether a code has a value of the account.
    is_applied: &'a dyn Fn(&str) -> bool,
}

impl Quotas {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let answer = self.answer()?;
        output::print(&answer, self.json, Answer::text)
    }

    fn answer(&self) -> Result<Answer, Failure> {
        #[cfg(feature = "live")]
        if self.live.is_asked_for() {
            return self.live.answer(self);
        }
        let ([] | [_]) = self.region.as_slice() else {
            return Err(Failure::Asked(
                "a list is of one region: give --region once".to_owned(),
            ));
        };
        let Some(list) = &self.list else {
            return Err(Failure::Asked("no list is given".to_owned()));
        };
        let account = list::read(list)?;
        let mut answer = Answer::default();
        let listed = Listed {
            account: &account,
            region: None,
            stands_for: &ModelId::clone,
            is_applied: &|_| true,
        };
        let told = self.add(
            &listed,
            self.region.first().map(String::as_str),
            &mut answer,
        )?;
        match told.into_iter().next() {
            Some(why) => Err(Failure::Asked(why)),
            None => Ok(answer),
        }
    }

    /// Adds what is asked for of a region; returns why not all of it is there.
    fn add(
        &self,
        listed: &Listed<'_>,
        region: Option<&str>,
        answer: &mut Answer,
    ) -> Result<Vec<String>, Failure> {
        answer.rows_passed_over += listed.account.ignored();
        if self.model.is_empty() {
            answer.quotas.extend(everything(listed));
        }
        let mut missing = Vec::new();
        for id in &self.model {
            let model: ModelId = id
                .parse()
                .map_err(|error| Failure::Asked(format!("--model: {error}")))?;
            let model = (listed.stands_for)(&model);
            match listed.account.of(&model) {
                Ok(quota) => {
                    answer.requests.extend(self.requests(id, region, &quota)?);
                    let row = |limit| quota.row(limit);
                    answer
                        .quotas
                        .push(Line::of(id.clone(), model.quota_path(), row, listed));
                }
                Err(why) => missing.push(why.to_string()),
            }
        }
        Ok(missing)
    }

    fn requests(
        &self,
        id: &str,
        region: Option<&str>,
        quota: &ModelQuota<'_>,
    ) -> Result<Vec<String>, Failure> {
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
                request(id, region, row, to).map_err(Failure::Asked)
            })
            .collect()
    }
}

/// The command that asks for `to`; it is not run.
fn request(id: &str, region: Option<&str>, row: &QuotaRow, to: u64) -> Result<String, String> {
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
    let region = match region {
        Some(region) => format!(" --region {region}"),
        None => String::new(),
    };
    Ok(format!(
        "aws service-quotas request-service-quota-increase --service-code bedrock --quota-code {} \
             --desired-value {to}{region}",
        row.code
    ))
}

/// Every row of the account, a line for each model and path.
fn everything(listed: &Listed<'_>) -> Vec<Line> {
    const PATHS: [QuotaPath; 3] = [QuotaPath::InRegion, QuotaPath::Geo, QuotaPath::Global];
    let mut lines: BTreeMap<(String, usize), Vec<&QuotaRow>> = BTreeMap::new();
    for row in listed.account.rows() {
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
            let row = |limit| rows.iter().find(|row| row.limit == limit).copied();
            Line::of(model, PATHS[order], row, listed)
        })
        .collect()
}

impl Line {
    fn of<'a>(
        model: String,
        path: QuotaPath,
        row: impl Fn(Limit) -> Option<&'a QuotaRow>,
        listed: &Listed<'_>,
    ) -> Self {
        let value = |limit| {
            let row = row(limit)?;
            Some(Value::of(row, (listed.is_applied)(&row.code)))
        };
        Self {
            model,
            region: listed.region.map(str::to_owned),
            path: path.as_str(),
            requests_per_minute: value(Limit::RequestsPerMinute),
            tokens_per_minute: value(Limit::TokensPerMinute),
            tokens_per_day: value(Limit::TokensPerDay),
        }
    }
}

impl Value {
    fn of(row: &QuotaRow, is_applied: bool) -> Self {
        Self {
            value: row.value,
            code: row.code.clone(),
            adjustable: row.is_adjustable,
            default: !is_applied,
        }
    }

    fn shown(value: Option<&Self>) -> String {
        let Some(Self {
            value,
            code,
            adjustable,
            default,
        }) = value
        else {
            return "-".to_owned();
        };
        let default = if *default { ", default" } else { "" };
        let fixed = if *adjustable { "" } else { ", fixed" };
        format!("{value} ({code}{default}{fixed})")
    }
}

impl Answer {
    fn text(&self) -> String {
        let mut table = output::table();
        let has_regions = self.quotas.iter().any(|line| line.region.is_some());
        let mut header = vec![
            "model",
            "path",
            "requests per minute",
            "tokens per minute",
            "tokens per day",
        ];
        if has_regions {
            header.insert(1, "region");
        }
        table.set_header(header);
        for line in &self.quotas {
            let mut row = vec![
                line.model.clone(),
                line.path.to_owned(),
                Value::shown(line.requests_per_minute.as_ref()),
                Value::shown(line.tokens_per_minute.as_ref()),
                Value::shown(line.tokens_per_day.as_ref()),
            ];
            if has_regions {
                row.insert(1, line.region.clone().unwrap_or_default());
            }
            table.add_row(row);
        }
        let mut text = output::lines(&table);
        if !self.requests.is_empty() {
            text.push_str("\n\nTo ask for the increase, run:");
            for request in &self.requests {
                text.push_str("\n  ");
                text.push_str(request);
            }
        }
        if !self.notes.is_empty() {
            text.push_str("\n\nNot all is known:");
            for note in &self.notes {
                text.push_str("\n  ");
                text.push_str(note);
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
