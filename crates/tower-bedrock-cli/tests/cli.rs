//! The program as a person runs it.

use assert_cmd::Command;
use serde_json::Value;

fn tower_bedrock(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tower-bedrock"));
    command.args(args);
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

fn refusal(args: &[&str]) -> String {
    let output = tower_bedrock(args).assert().failure().get_output().clone();
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

const DAY: &str = "ThrottlingException: Too many tokens per day, please wait before trying again.";

/// An error is explained from an argument, from unquoted words and from standard input.
#[test]
fn an_error_is_explained_wherever_it_comes_from() {
    let words: Vec<_> = ["explain", "--json"]
        .into_iter()
        .chain(DAY.split(' '))
        .collect();
    let answers = [
        json(&mut tower_bedrock(&["explain", "--json", DAY])),
        json(&mut tower_bedrock(&words)),
        json(tower_bedrock(&["explain", "--json"]).write_stdin(DAY)),
        json(tower_bedrock(&["explain", "-", "--json"]).write_stdin(DAY)),
    ];
    for answer in &answers {
        assert_eq!(answer["cause"], "tokens_per_day");
        assert_eq!(answer["read_from"], "code");
        assert_eq!(answer["the_stack"][0], "Does not retry.");
        assert_eq!(answer, &answers[0]);
    }
}

/// People get the same in lines that fit a page.
#[test]
fn people_get_lines() {
    let output = tower_bedrock(&["explain", DAY])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let text = String::from_utf8(output).unwrap();
    for part in ["cause", "tokens_per_day", "meaning", "the stack", "you"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

/// Nothing to explain is said, with an example.
#[test]
fn no_error_is_refused() {
    let output = tower_bedrock(&["explain"])
        .write_stdin(" \n")
        .assert()
        .failure()
        .get_output()
        .clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("no error to explain") && said.contains("tower-bedrock explain '"),
        "{said}"
    );
}

/// maxTokens that is not set is the model's maximum, and costs most of the quota.
#[test]
fn an_unset_max_tokens_shows_its_cost() {
    let load = [
        "plan",
        "--json",
        "--calls-per-minute",
        "60",
        "--input-tokens",
        "1000",
        "--output-tokens",
        "300",
        "--model",
        "us.anthropic.claude-sonnet-4-6",
        "--tpm",
        "1000000",
    ];
    let unset = json(&mut tower_bedrock(&load));
    assert_eq!(unset["max_tokens"], 128_000);
    assert_eq!(unset["held_per_call"], 129_000);
    assert_eq!(unset["settled_per_call"], 2_500, "output counts five times");
    assert_eq!(unset["fits"], false);
    let tokens = unset["max_tokens_that_fits"].as_u64().unwrap().to_string();

    let mut set = load.to_vec();
    set.extend(["--max-tokens", &tokens]);
    assert_eq!(json(&mut tower_bedrock(&set))["fits"], true);
}

/// Questions that make no sense are refused with what to do.
#[test]
fn senseless_questions_are_refused() {
    let load = [
        "plan",
        "--calls-per-minute",
        "60",
        "--input-tokens",
        "1000",
        "--output-tokens",
        "300",
    ];
    let with = |more: &[&str]| refusal(&[&load, more].concat());
    assert!(with(&["--tpm", "9"]).contains("give --max-tokens or --model"));
    assert!(with(&["--max-tokens", "500"]).contains("no quota to plan with"));
    assert!(with(&["--max-tokens", "200", "--tpm", "9"]).contains("more than maxTokens 200"));
    assert!(with(&["--max-tokens", "500", "--tpm", "0"]).contains("--tokens-per-minute is 0"));
    assert!(
        with(&["--max-tokens", "500", "--tpm", "9", "--duration", "0s"]).contains("--duration")
    );
    assert!(with(&["--model", "no model!", "--tpm", "9"]).contains("--model: "));
    assert!(
        refusal(&[
            "plan",
            "--calls-per-minute",
            "NaN",
            "--input-tokens",
            "1",
            "--output-tokens",
            "1",
            "--max-tokens",
            "1",
            "--tpm",
            "9"
        ])
        .contains("above 0")
    );
}

const LISTED: &str = r#"{"Quotas": [
    {"ServiceCode": "bedrock", "QuotaCode": "L-7C42E72A", "QuotaName": "Cross-region model inference tokens per minute for Amazon Nova Lite", "Value": 400000.0, "Adjustable": true},
    {"ServiceCode": "bedrock", "QuotaCode": "L-89F8391A", "QuotaName": "Cross-region model inference requests per minute for Amazon Nova Lite", "Value": 200.0, "Adjustable": false},
    {"ServiceCode": "bedrock", "QuotaCode": "L-70423BF8", "QuotaName": "On-demand model inference tokens per minute for Amazon Nova Lite", "Value": 200000.0, "Adjustable": true},
    {"ServiceCode": "bedrock", "QuotaCode": "L-45E0AD92", "QuotaName": "Model invocation max tokens per day for Amazon Nova Lite (doubled for cross-region calls)", "Value": 9000.0, "Adjustable": false},
    {"ServiceCode": "bedrock", "QuotaCode": "L-AAAAAAAA", "QuotaName": "Agents per account", "Value": 200.0, "Adjustable": true}
]}"#;

/// The list of an account is a line for each model and path, with codes.
#[test]
fn an_account_is_listed() {
    let answer = json(tower_bedrock(&["quotas", "-", "--json"]).write_stdin(LISTED));
    let lines = answer["quotas"].as_array().unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["path"], &lines[1]["path"]),
        (&"in-region".into(), &"geo".into())
    );
    assert_eq!(lines[0]["requests_per_minute"], Value::Null);
    assert_eq!(lines[1]["tokens_per_minute"]["value"], 400_000);
    assert_eq!(lines[1]["requests_per_minute"]["adjustable"], false);
    assert_eq!(lines[1]["tokens_per_day"]["code"], "L-45E0AD92");
    assert_eq!(answer["rows_passed_over"], 1);
}

/// The request for an increase is printed for what can be raised, and is right to be run.
#[test]
fn an_increase_is_a_command_to_run() {
    let raise = |more: &[&str]| {
        let mut command = tower_bedrock(&["quotas", "-", "--model", "us.amazon.nova-lite-v1:0"]);
        command.args(more).write_stdin(LISTED);
        command
    };
    let answer = json(&mut raise(&[
        "--json",
        "--raise-tokens-per-minute",
        "800000",
        "--region",
        "us-east-1",
    ]));
    assert_eq!(
        answer["requests"][0],
        "aws service-quotas request-service-quota-increase --service-code bedrock --quota-code L-7C42E72A \
         --desired-value 800000 --region us-east-1"
    );
    let refused = |more: &[&str]| {
        let output = raise(more).assert().failure().get_output().stderr.clone();
        String::from_utf8(output).unwrap()
    };
    assert!(refused(&["--raise-requests-per-minute", "300"]).contains("open a case"));
    assert!(refused(&["--raise-tokens-per-minute", "400000"]).contains("already"));
}

/// What is no list of Bedrock's quotas is refused, with the command that makes one.
#[test]
fn other_lists_are_refused() {
    let refused = |input: &str| {
        let output = tower_bedrock(&["quotas", "-"])
            .write_stdin(input)
            .assert()
            .failure()
            .get_output()
            .clone();
        String::from_utf8(output.stderr).unwrap()
    };
    for (input, reason) in [
        ("{", "line 1"),
        ("{\"Regions\": []}", "not a list of quotas"),
        ("{\"Quotas\": []}", "none of its 0 rows"),
        (&LISTED.replace("\"bedrock\"", "\"ec2\""), "quotas of ec2"),
    ] {
        let said = refused(input);
        assert!(
            said.contains(reason) && said.contains("aws service-quotas list"),
            "{said}"
        );
    }
    assert!(refusal(&["quotas", "/no/such/file"]).contains("cannot read /no/such/file"));
    let output = tower_bedrock(&["quotas", "-", "--model", "amazon.nova-pro-v1:0"])
        .write_stdin(LISTED)
        .assert()
        .failure()
        .get_output()
        .stderr
        .clone();
    assert!(
        String::from_utf8(output)
            .unwrap()
            .contains("no quota is listed")
    );
}
