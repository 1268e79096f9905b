use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The rows of Service Quotas that are known, with the model and the path that each is about: names and
/// codes as AWS lists them, collected by bedrock-usage-analyzer 0.7.0b0.
const KNOWN: &str = include_str!("service_quotas.csv");

struct Known<'a> {
    model: &'a str,
    path: &'a str,
    limit: &'a str,
    code: &'a str,
    name: &'a str,
}

fn known() -> Vec<Known<'static>> {
    let row = |line: &'static str| {
        let mut cells = line.splitn(5, ',');
        let mut cell = || cells.next().expect("five cells");
        Known {
            model: cell(),
            path: cell(),
            limit: cell(),
            code: cell(),
            name: cell(),
        }
    };
    KNOWN.lines().skip(1).map(row).collect()
}

fn limit(name: &str) -> Option<Limit> {
    match name {
        "rpm" => Some(Limit::RequestsPerMinute),
        "tpm" => Some(Limit::TokensPerMinute),
        "tpd" => Some(Limit::TokensPerDay),
        _ => None,
    }
}

fn path(name: &str) -> Option<QuotaPath> {
    match name {
        "base" => Some(QuotaPath::InRegion),
        "global" => Some(QuotaPath::Global),
        "custom" => None,
        _ => Some(QuotaPath::Geo),
    }
}

fn row(code: &str, name: &str, value: f64) -> ServiceQuota {
    ServiceQuota::new(code, name, value)
}

/// The name of every known row tells its path and its limit, and those that limit something else are
/// passed over.
#[test]
fn every_known_name_is_read() {
    for known in known() {
        let read = RowName::of(known.name);
        let (Some(limit), Some(path)) = (limit(known.limit), path(known.path)) else {
            assert_eq!(read, None, "{}", known.name);
            continue;
        };
        let read = read.unwrap_or_else(|| panic!("{} is not read", known.name));
        assert_eq!(read.limit, limit, "{}", known.name);
        assert!(read.paths.contains(&path), "{} is about {path}", known.name);
    }
}

/// In an account that lists every known row, a model gets its own rows or, where names leave a doubt,
/// fewer of them; never those of another. Nine in ten get all.
#[test]
fn a_model_gets_its_own_rows_or_none() {
    let listed: BTreeMap<_, _> = known()
        .iter()
        .map(|known| (known.code, known.name))
        .collect();
    let account = AccountQuotas::new(listed.iter().map(|(code, name)| row(code, name, 1_000.0)));

    let mut wanted: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for known in known() {
        if limit(known.limit).is_some() && path(known.path).is_some() {
            wanted
                .entry((known.model, known.path))
                .or_default()
                .insert(known.code);
        }
    }
    let (mut found, mut missed) = (0, Vec::new());
    for ((model, path), codes) in &wanted {
        let id = match *path {
            "base" => (*model).to_owned(),
            prefix => format!("{prefix}.{model}"),
        };
        match account.of(&id.parse().unwrap()) {
            Ok(quota) => {
                let rows: BTreeSet<_> = quota.rows().map(|row| row.code.as_str()).collect();
                for row in quota.rows() {
                    let is_its_own = known()
                        .iter()
                        .any(|known| known.code == row.code && known.model == *model);
                    assert!(is_its_own, "{id} got {row:?}");
                }
                // A geographic prefix may lack a row that another prefix of the same model has.
                if rows.is_superset(codes) {
                    found += 1;
                } else {
                    missed.push(format!("{id}: {rows:?} of {codes:?}"));
                }
            }
            Err(error) => missed.push(error.to_string()),
        }
    }
    let share = f64::from(found) / wanted.len() as f64;
    assert!(share >= 0.9, "{found} of {}: {missed:#?}", wanted.len());
}

const SONNET: &str = "Anthropic Claude Sonnet 4.6";

fn sonnet() -> AccountQuotas {
    AccountQuotas::new([
        row(
            "L-1",
            &format!("On-demand model inference tokens per minute for {SONNET}"),
            100.0,
        ),
        row(
            "L-2",
            &format!("Cross-region model inference tokens per minute for {SONNET}"),
            200.5,
        ),
        row(
            "L-3",
            &format!("Cross-region model inference requests per minute for {SONNET}"),
            20.0,
        ),
        row(
            "L-4",
            &format!("Global cross-region model inference tokens per minute for {SONNET}"),
            300.0,
        ),
        row(
            "L-5",
            &format!(
                "Model invocation max tokens per day for {SONNET} (doubled for cross-region calls)"
            ),
            5_000.0,
        ),
        row(
            "L-6",
            &format!("Global cross-region model inference tokens per day for {SONNET}"),
            9_000.0,
        ),
        row(
            "L-7",
            &format!("[bedrock-mantle endpoint] Input tokens per minute for {SONNET}"),
            7.0,
        ),
        row(
            "L-8",
            &format!("On-demand, latency-optimized model inference tokens per minute for {SONNET}"),
            8.0,
        ),
    ])
}

fn quota(id: &str) -> Quota {
    sonnet().of(&id.parse().unwrap()).unwrap().quota()
}

/// Each path has rows of its own; tokens per day are shared, and doubled through geographic profiles.
#[test]
fn each_path_has_its_own_rows() {
    let base = Quota::new();
    assert_eq!(
        quota("anthropic.claude-sonnet-4-6"),
        base.clone()
            .with_tokens_per_minute(100)
            .with_tokens_per_day(5_000)
    );
    for geo in ["us", "eu", "jp"] {
        assert_eq!(
            quota(&format!("{geo}.anthropic.claude-sonnet-4-6")),
            base.clone()
                .with_requests_per_minute(20)
                .with_tokens_per_minute(200)
                .with_tokens_per_day(10_000)
        );
    }
    assert_eq!(
        quota("global.anthropic.claude-sonnet-4-6"),
        base.with_tokens_per_minute(300).with_tokens_per_day(9_000)
    );
    assert_eq!((sonnet().rows().len(), sonnet().ignored()), (6, 2));
}

fn refused(account: &AccountQuotas, id: &str) -> String {
    account.of(&id.parse().unwrap()).unwrap_err().to_string()
}

/// A doubt is told with both names, and nothing is guessed.
#[test]
fn a_doubt_is_refused() {
    let account = AccountQuotas::new([
        row(
            "L-1",
            "On-demand model inference tokens per minute for Amazon Nova Lite",
            1.0,
        ),
        row(
            "L-2",
            "On-demand model inference tokens per minute for Nova Lite V1",
            2.0,
        ),
    ]);
    let said = refused(&account, "amazon.nova-lite-v1:0");
    assert!(
        said.contains("Amazon Nova Lite\"") && said.contains("Nova Lite V1"),
        "{said}"
    );
}

/// The same row twice is no doubt: defaults and applied values overlap.
#[test]
fn a_row_may_be_listed_twice() {
    let name = "On-demand model inference tokens per minute for Amazon Nova Lite";
    let account = AccountQuotas::new([row("L-1", name, 5.0), row("L-1", name, 5.0)]);
    let found = account
        .of(&"amazon.nova-lite-v1:0".parse().unwrap())
        .unwrap();
    assert_eq!(found.quota(), Quota::new().with_tokens_per_minute(5));
}

/// Neighbours in name are other models: a generation, a size, a vendor or a version apart.
#[test]
fn neighbours_are_other_models() {
    for (name, id) in [
        (
            "Anthropic Claude Opus 4",
            "anthropic.claude-opus-4-5-20251101-v1:0",
        ),
        (
            "Anthropic Claude Opus 4.5",
            "anthropic.claude-opus-4-20250514-v1:0",
        ),
        (
            "Anthropic Claude 3.5 Sonnet V2",
            "anthropic.claude-3-5-sonnet-20240620-v1:0",
        ),
        (
            "Anthropic Claude 3.5 Sonnet",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        ("Meta Llama 3 8B Instruct", "meta.llama3-1-8b-instruct-v1:0"),
        (
            "Meta Llama 3.1 70B Instruct",
            "meta.llama3-1-8b-instruct-v1:0",
        ),
        ("Cohere Nova Lite", "amazon.nova-lite-v1:0"),
        ("Amazon Nova", "amazon.nova-lite-v1:0"),
        ("Amazon Nova 2 Lite", "amazon.nova-lite-v1:0"),
        ("Mistral Large 3", "mistral.mistral-large-2402-v1:0"),
        ("Mistral Large", "mistral.mistral-large-3-675b-instruct"),
        ("NVIDIA Nemotron Nano 2 VL", "nvidia.nemotron-nano-9b-v2"),
    ] {
        let row = row(
            "L-1",
            &format!("On-demand model inference tokens per minute for {name}"),
            5.0,
        );
        let said = refused(&AccountQuotas::new([row]), id);
        assert!(
            said.contains("no quota is listed"),
            "{name} is taken for {id}"
        );
    }
}

/// What cannot be called, is not on demand or makes no sense is said, not configured.
#[test]
fn what_is_no_quota_is_said() {
    let name = "On-demand model inference tokens per minute for Amazon Nova Lite";
    let nothing = AccountQuotas::new([row("L-9", name, 0.0)]);
    let said = refused(&nothing, "amazon.nova-lite-v1:0");
    assert!(said.contains("is 0") && said.contains("L-9"), "{said}");

    let profile =
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl";
    assert!(refused(&sonnet(), profile).contains("resolve it"));

    for value in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(
            AccountQuotas::new([row("L-1", name, value)]).ignored(),
            1,
            "{value}"
        );
    }
    let huge = AccountQuotas::new([row("L-1", name, 1e300)]);
    assert_eq!(huge.rows()[0].value, u64::MAX);
}
