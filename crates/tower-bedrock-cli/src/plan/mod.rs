//! `tower-bedrock plan`.

#[cfg(test)]
mod tests;
mod workload;

use std::time::Duration;

use clap::Args;
use humantime::format_duration;
use serde::Serialize;
use tower_bedrock::{InvalidModelId, ModelId};

use self::workload::{Limits, Workload};
use crate::output::{self, Failure};

/// The burndown rate of models that say nothing of it.
const PLAIN_BURNDOWN: u32 = 1;

#[derive(Args)]
pub(crate) struct Plan {
    /// Calls per minute that are to be made.
    #[arg(long, value_name = "N", help_heading = "Workload")]
    calls_per_minute: f64,
    /// Input tokens of a call, without those of a prompt cache.
    #[arg(long, value_name = "N", help_heading = "Workload")]
    input_tokens: u64,
    /// What calls set as maxTokens. Without it: the model's maximum, as the service holds it.
    #[arg(long, value_name = "N", help_heading = "Workload")]
    max_tokens: Option<u64>,
    /// Output tokens that a call really generates.
    #[arg(long, value_name = "N", help_heading = "Workload")]
    output_tokens: u64,
    /// Tokens that a call reads from a prompt cache: held, but free in the end.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Workload")]
    cache_read_tokens: u64,
    /// Tokens that a call writes to a prompt cache.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Workload")]
    cache_write_tokens: u64,
    /// How long a call takes, such as 8s; its tokens are held for as long.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration, help_heading = "Workload")]
    duration: Duration,
    /// The model's id or ARN: tells what output tokens cost, and the most that it generates.
    #[arg(long, value_name = "ID", help_heading = "Workload")]
    model: Option<String>,
    /// How many quota tokens an output token costs, in place of what the model's name tells.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Workload")]
    burndown: Option<u32>,

    /// Tokens per minute of the quota.
    #[arg(long, visible_alias = "tpm", value_name = "N", help_heading = "Quota")]
    tokens_per_minute: Option<u64>,
    /// Requests per minute of the quota.
    #[arg(long, visible_alias = "rpm", value_name = "N", help_heading = "Quota")]
    requests_per_minute: Option<u64>,
    /// Tokens per day of the quota.
    #[arg(long, visible_alias = "tpd", value_name = "N", help_heading = "Quota")]
    tokens_per_day: Option<u64>,

    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a quota is good for.
#[derive(Debug, Serialize)]
struct Answer {
    fits: bool,
    /// The limit that allows the fewest calls.
    bound_by: &'static str,
    calls_per_minute_asked: f64,
    /// Calls per minute that go without a refusal, however the service counts its minute.
    calls_per_minute_that_fit: f64,
    /// What a call takes at its start.
    held_per_call: u64,
    /// What a call costs in the end.
    settled_per_call: u64,
    burndown: u32,
    max_tokens: u64,
    max_tokens_is_the_models_maximum: bool,
    call_takes_seconds: f64,
    limits: Vec<LimitAnswer>,
    /// The part of the tokens per minute that is held and never used, at the calls that fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_to_holds: Option<f64>,
    /// How many calls may start in the same instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_once: Option<u64>,
    /// The largest maxTokens with which all calls fit; 0 if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens_that_fits: Option<u64>,
    /// How many regions, or other quotas of this size, take all calls; nothing if no number does.
    regions: Option<u64>,
}

#[derive(Debug, Serialize)]
struct LimitAnswer {
    limit: &'static str,
    quota: u64,
    /// What the calls asked for need of it.
    needed: f64,
    calls_per_minute: f64,
}

impl Plan {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let answer = self.answer()?;
        output::print(&answer, self.json, Answer::text)
    }

    fn answer(&self) -> Result<Answer, Failure> {
        let model = self
            .model
            .as_deref()
            .map(str::parse::<ModelId>)
            .transpose()
            .map_err(|error: InvalidModelId| Failure::Asked(format!("--model: {error}")))?;
        let burndown = self.burndown.unwrap_or_else(|| {
            model
                .as_ref()
                .map_or(PLAIN_BURNDOWN, ModelId::default_burndown_rate)
        });
        let max_tokens = match (self.max_tokens, &model) {
            (Some(tokens), _) => tokens,
            (None, Some(model)) => model.default_max_output_tokens().into(),
            (None, None) => {
                return Err(Failure::Asked(
                    "without --max-tokens a call holds the model's maximum: give --max-tokens or --model"
                        .to_owned(),
                ));
            }
        };
        let workload = Workload {
            calls_per_minute: self.calls_per_minute,
            input: self.input_tokens,
            cache_read: self.cache_read_tokens,
            cache_write: self.cache_write_tokens,
            max_tokens,
            output: self.output_tokens,
            burndown,
            duration: self.duration,
        };
        let limits = Limits {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            tokens_per_day: self.tokens_per_day,
        };
        workload.check(&limits).map_err(Failure::Asked)?;
        Ok(answer(&workload, &limits, self.max_tokens.is_none()))
    }
}

fn answer(workload: &Workload, limits: &Limits, is_models_maximum: bool) -> Answer {
    let asked = workload.calls_per_minute;
    let answers: Vec<_> = limits
        .each(workload)
        .map(|(limit, quota, fit)| LimitAnswer {
            limit,
            quota,
            needed: quota as f64 * asked / fit,
            calls_per_minute: fit,
        })
        .collect();
    let tightest = answers
        .iter()
        .min_by(|a, b| a.calls_per_minute.total_cmp(&b.calls_per_minute));
    let (bound_by, fit) = tightest.map_or(("nothing", f64::INFINITY), |tightest| {
        (tightest.limit, tightest.calls_per_minute)
    });
    Answer {
        fits: fit >= asked,
        bound_by,
        calls_per_minute_asked: asked,
        calls_per_minute_that_fit: fit,
        held_per_call: workload.held(),
        settled_per_call: workload.settled(),
        burndown: workload.burndown,
        max_tokens: workload.max_tokens,
        max_tokens_is_the_models_maximum: is_models_maximum,
        call_takes_seconds: workload.duration.as_secs_f64(),
        lost_to_holds: limits
            .tokens_per_minute
            .map(|quota| workload.lost_to_holds(quota, fit)),
        at_once: limits.tokens_per_minute.map(|quota| {
            let by_tokens = quota / workload.held().max(1);
            limits
                .requests_per_minute
                .map_or(by_tokens, |requests| by_tokens.min(requests))
        }),
        max_tokens_that_fits: limits
            .tokens_per_minute
            .map(|quota| workload.max_tokens_that_fits(quota)),
        regions: regions(asked, fit),
        limits: answers,
    }
}

fn regions(asked: f64, fit: f64) -> Option<u64> {
    (fit > 0.0).then(|| (asked / fit).ceil().max(1.0) as u64)
}

impl Answer {
    fn text(&self) -> String {
        let mut table = output::table();
        let fit = self.calls_per_minute_that_fit;
        let asked = rounded(self.calls_per_minute_asked);
        table.add_row([
            "fits".to_owned(),
            if self.fits {
                format!(
                    "yes: {asked} calls per minute; up to {} would",
                    rounded(fit)
                )
            } else {
                format!(
                    "no: {} of {asked} calls per minute; bound by {}",
                    rounded(fit),
                    self.bound_by
                )
            },
        ]);
        let origin = if self.max_tokens_is_the_models_maximum {
            " (the model's maximum, because none is set)"
        } else {
            ""
        };
        table.add_row([
            "a call".to_owned(),
            format!(
                "holds {} tokens for {}, with maxTokens {}{origin}; costs {} in the end, output counting {} times",
                self.held_per_call,
                format_duration(Duration::from_secs_f64(self.call_takes_seconds)),
                self.max_tokens,
                self.settled_per_call,
                self.burndown,
            ),
        ]);
        for limit in &self.limits {
            table.add_row([
                limit.limit.to_owned(),
                format!(
                    "{} of {} needed ({}); fits {} calls per minute",
                    rounded(limit.needed),
                    limit.quota,
                    percent(limit.needed / limit.quota as f64),
                    rounded(limit.calls_per_minute),
                ),
            ]);
        }
        if let Some(lost) = self.lost_to_holds {
            table.add_row([
                "lost to holds".to_owned(),
                format!("{} of the tokens per minute", percent(lost)),
            ]);
        }
        if let Some(at_once) = self.at_once {
            table.add_row([
                "at once".to_owned(),
                format!("{at_once} calls may start in the same instant"),
            ]);
        }
        if let Some(tokens) = self.max_tokens_that_fits {
            table.add_row([
                "maxTokens".to_owned(),
                match tokens {
                    0 => "no maxTokens makes all calls fit the tokens per minute".to_owned(),
                    tokens if tokens >= self.max_tokens => format!("may be up to {tokens}"),
                    tokens => format!("{tokens} or less makes all calls fit the tokens per minute"),
                },
            ]);
        }
        table.add_row([
            "regions".to_owned(),
            match self.regions {
                Some(1) => "one is enough".to_owned(),
                Some(regions) => format!("{regions} with a quota of this size take all calls"),
                None => "no number of them: a single call does not fit".to_owned(),
            },
        ]);
        output::lines(&table)
    }
}

fn rounded(number: f64) -> String {
    if number.is_infinite() {
        "any number of".to_owned()
    } else if number >= 100.0 {
        format!("{number:.0}")
    } else {
        let text = format!("{number:.1}");
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
