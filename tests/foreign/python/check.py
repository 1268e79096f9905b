"""Checks bedrock-sim against boto3: `check.py ENDPOINT`, with scenario.toml beside this folder."""

import json
import sys
import time
import traceback
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EventStreamError

ENDPOINT = sys.argv[1].rstrip("/")
NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def client(attempts=1, region="us-east-1"):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=20),
    )


def own(path, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(ENDPOINT + path, method=method)) as reply:
        return json.load(reply)


def ask(text="Hello, what is the weather like?"):
    return [{"role": "user", "content": [{"text": text}]}]


def requests_of(model):
    return sum(q["requests"] for q in own("/_sim/ledger")["quotas"] if q["model"] == model)


def refused(model, status, name, attempts=1, **input):
    """The exception class, the status, and the number of attempts on the wire."""
    bedrock = client(attempts)
    before = requests_of(model)
    try:
        bedrock.converse(modelId=model, messages=ask(), **input)
    except ClientError as error:
        assert type(error).__name__ == name, type(error)
        assert error.response["Error"]["Code"] == name
        assert isinstance(error, getattr(bedrock.exceptions, name))
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status
        return error.response["Error"]["Message"], requests_of(model) - before
    raise AssertionError("the call was answered")


@check
def converse_answers():
    reply = client().converse(modelId=NOVA, messages=ask(), inferenceConfig={"maxTokens": 100})
    assert reply["output"]["message"]["role"] == "assistant"
    assert reply["output"]["message"]["content"][0]["text"].strip()
    assert reply["stopReason"] == "end_turn"
    usage = reply["usage"]
    assert usage["outputTokens"] == 20 and usage["inputTokens"] > 0
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert reply["metrics"]["latencyMs"] >= 0
    meta = reply["ResponseMetadata"]
    assert meta["HTTPHeaders"]["content-type"] == "application/json"
    assert len(meta["RequestId"]) == 36 and meta["RetryAttempts"] == 0


@check
def max_tokens_cut_the_answer():
    reply = client().converse(modelId=NOVA, messages=ask(), inferenceConfig={"maxTokens": 7})
    assert reply["stopReason"] == "max_tokens" and reply["usage"]["outputTokens"] == 7


@check
def converse_calls_a_forced_tool():
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    tools = {
        "tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": schema}}}],
        "toolChoice": {"tool": {"name": "weather"}},
    }
    reply = client().converse(modelId=CLAUDE, messages=ask(), toolConfig=tools)
    assert reply["stopReason"] == "tool_use"
    use = reply["output"]["message"]["content"][0]["toolUse"]
    assert use["name"] == "weather" and use["toolUseId"].startswith("tooluse_")
    assert isinstance(use["input"]["city"], str) and isinstance(use["input"]["days"], int)

    events = list(client().converse_stream(modelId=CLAUDE, messages=ask(), toolConfig=tools)["stream"])
    start = next(e["contentBlockStart"] for e in events if "contentBlockStart" in e)
    assert start["start"]["toolUse"]["name"] == "weather"
    deltas = [e["contentBlockDelta"]["delta"] for e in events if "contentBlockDelta" in e]
    assert json.loads("".join(d["toolUse"]["input"] for d in deltas)) == use["input"]


@check
def converse_stream_keeps_its_order():
    events = list(client().converse_stream(modelId=NOVA, messages=ask())["stream"])
    names = [next(iter(event)) for event in events]
    deltas = names.count("contentBlockDelta")
    assert deltas > 2, names
    assert names == (
        ["messageStart"] + ["contentBlockDelta"] * deltas + ["contentBlockStop", "messageStop", "metadata"]
    )
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 20
    assert events[-2]["messageStop"]["stopReason"] == "end_turn"
    streamed = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)
    whole = client().converse(modelId=NOVA, messages=ask())
    assert streamed == whole["output"]["message"]["content"][0]["text"]


def anthropic_body(**more):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100}
    return json.dumps({**body, "messages": [{"role": "user", "content": ask()[0]["content"][0]["text"]}], **more})


@check
def invoke_model_speaks_anthropic():
    reply = client().invoke_model(modelId=CLAUDE, body=anthropic_body())
    body = json.loads(reply["body"].read())
    assert body["type"] == "message" and body["content"][0]["type"] == "text"
    assert body["stop_reason"] == "end_turn"
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["x-amzn-bedrock-input-token-count"]) == body["usage"]["input_tokens"]
    assert int(headers["x-amzn-bedrock-output-token-count"]) == body["usage"]["output_tokens"] == 20
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0
    assert reply["contentType"] == "application/json"


@check
def invoke_model_speaks_nova():
    body = {"messages": ask(), "inferenceConfig": {"maxTokens": 100}}
    reply = client().invoke_model(modelId=NOVA, body=json.dumps(body), serviceTier="priority")
    answer = json.loads(reply["body"].read())
    assert answer["output"]["message"]["content"][0]["text"]
    assert answer["usage"]["outputTokens"] == 20
    assert reply["serviceTier"] == "priority"


def chunks(reply):
    return [json.loads(event["chunk"]["bytes"]) for event in reply["body"]]


@check
def invoke_model_streams_anthropic():
    reply = client().invoke_model_with_response_stream(modelId=CLAUDE, body=anthropic_body())
    events = chunks(reply)
    names = [event["type"] for event in events]
    deltas = names.count("content_block_delta")
    assert names == (
        ["message_start", "content_block_start"]
        + ["content_block_delta"] * deltas
        + ["content_block_stop", "message_delta", "message_stop"]
    ), names
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["inputTokenCount"] == events[0]["message"]["usage"]["input_tokens"] > 0
    assert metrics["outputTokenCount"] == events[-2]["usage"]["output_tokens"] == 20
    assert reply["contentType"] == "application/json"


@check
def invoke_model_streams_nova():
    body = json.dumps({"messages": ask()})
    events = chunks(client().invoke_model_with_response_stream(modelId=NOVA, body=body))
    assert list(events[0]) == ["messageStart"] and "contentBlockDelta" in events[1]
    assert events[-2]["messageStop"]["stopReason"] == "end_turn"
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 20
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 20


@check
def every_way_of_counting_agrees():
    bedrock = client()
    for model, body in [(CLAUDE, anthropic_body()), (NOVA, json.dumps({"messages": ask()}))]:
        used = bedrock.converse(modelId=model, messages=ask())["usage"]["inputTokens"]
        counted = bedrock.count_tokens(modelId=model, input={"converse": {"messages": ask()}})
        invoked = bedrock.count_tokens(modelId=model, input={"invokeModel": {"body": body}})
        header = bedrock.invoke_model(modelId=model, body=body)["ResponseMetadata"]["HTTPHeaders"]
        assert used == counted["inputTokens"] == invoked["inputTokens"]
        assert used == int(header["x-amzn-bedrock-input-token-count"])


@check
def prompt_cache_is_written_and_read():
    system = [{"text": "You are brief. " * 50}, {"cachePoint": {"type": "default"}}]
    first = client().converse(modelId=CLAUDE, system=system, messages=ask())["usage"]
    second = client().converse(modelId=CLAUDE, system=system, messages=ask())["usage"]
    assert first["cacheWriteInputTokens"] > 0 and first["cacheReadInputTokens"] == 0
    assert second["cacheReadInputTokens"] == first["cacheWriteInputTokens"]
    assert second["cacheWriteInputTokens"] == 0
    assert first["totalTokens"] == second["totalTokens"]


@check
def guardrail_applies():
    reply = client().apply_guardrail(
        guardrailIdentifier="abc123", guardrailVersion="1", source="INPUT", content=[{"text": {"text": "hi"}}]
    )
    assert reply["action"] == "NONE" and reply["usage"]["contentPolicyUnits"] == 1


@check
def arn_is_one_label():
    reply = client().converse(modelId=PROFILE, messages=ask())
    assert reply["usage"]["outputTokens"] == 20


@check
def region_comes_from_the_signature():
    micro = "amazon.nova-micro-v1:0"
    reply = client(region="eu-central-1").converse(modelId=micro, messages=ask())
    assert reply["usage"]["outputTokens"] == 5
    message, _ = refused(micro, 400, "ValidationException")
    assert message == "The provided model identifier is invalid."


@check
def errors_have_their_classes():
    for model, status, name in [
        ("fault.throttled", 429, "ThrottlingException"),
        ("fault.unavailable", 503, "ServiceUnavailableException"),
        ("fault.internal", 500, "InternalServerException"),
        ("fault.denied", 403, "AccessDeniedException"),
        ("fault.not-ready", 429, "ModelNotReadyException"),
        ("fault.timeout", 408, "ModelTimeoutException"),
        ("fault.model-error", 424, "ModelErrorException"),
        ("fault.not-found", 404, "ResourceNotFoundException"),
        ("fault.quota-exceeded", 400, "ServiceQuotaExceededException"),
        ("fault.conflict", 400, "ConflictException"),
        ("fault.model-stream-error", 424, "ModelStreamErrorException"),
    ]:
        _, attempts = refused(model, status, name)
        assert attempts == 1


@check
def throttle_says_which_quota():
    message, _ = refused("fault.throttled", 429, "ThrottlingException")
    assert message == "Too many tokens, please wait before trying again."


@check
def sdk_retries_what_it_should():
    for model, attempts in [("fault.throttled", 3), ("fault.unavailable", 3), ("fault.not-ready", 3)]:
        status = 503 if model == "fault.unavailable" else 429
        name = {"fault.throttled": "ThrottlingException", "fault.unavailable": "ServiceUnavailableException"}
        _, seen = refused(model, status, name.get(model, "ModelNotReadyException"), attempts=3)
        assert seen == attempts, (model, seen)
    for model, status, name in [
        ("fault.timeout", 408, "ModelTimeoutException"),
        ("fault.model-error", 424, "ModelErrorException"),
        ("fault.denied", 403, "AccessDeniedException"),
    ]:
        _, seen = refused(model, status, name, attempts=3)
        assert seen == 1, (model, seen)


@check
def sdk_retries_through():
    reply = client(attempts=3).converse(modelId="fault.throttled-twice", messages=ask())
    assert reply["ResponseMetadata"]["RetryAttempts"] == 2


@check
def sdk_retries_a_reset():
    reply = client(attempts=3).converse(modelId="fault.reset-once", messages=ask())
    assert reply["ResponseMetadata"]["RetryAttempts"] == 1


@check
def quota_is_enforced():
    bedrock = client()
    for _ in range(3):
        bedrock.converse(modelId="quota.three-a-minute", messages=ask())
    message, _ = refused("quota.three-a-minute", 429, "ThrottlingException")
    assert message == "Too many requests, please wait before trying again."


@check
def bad_requests_are_refused():
    blank, _ = refused(NOVA, 400, "ValidationException", system=[{"text": "x" * 9000}])
    assert blank == "Input is too long for requested model."
    limit, _ = refused(NOVA, 400, "ValidationException", inferenceConfig={"maxTokens": 6000})
    assert limit.startswith("The maximum tokens you requested exceed"), limit
    for messages, text in [
        ([{"role": "assistant", "content": [{"text": "hi"}]}], "A conversation must start with a user message."),
        (ask(" "), "The text field in the ContentBlock object at messages.0.content.0 is blank."),
        ([{"role": "user", "content": []}], "The content field in the Message object at messages.0 is empty."),
    ]:
        try:
            client().converse(modelId=NOVA, messages=messages)
        except ClientError as error:
            assert error.response["Error"]["Message"].startswith(text), error
        else:
            raise AssertionError(text)
    try:
        client().invoke_model(modelId=CLAUDE, body=json.dumps({"messages": []}))
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException"
    else:
        raise AssertionError("a body without anthropic_version was answered")


@check
def exception_inside_a_stream():
    seen = []
    try:
        for event in client().converse_stream(modelId="fault.stream-throttled", messages=ask())["stream"]:
            seen.append(next(iter(event)))
    except EventStreamError as error:
        assert error.response["Error"]["Code"] == "throttlingException"
        assert seen == ["messageStart", "contentBlockDelta"], seen
    else:
        raise AssertionError("the stream ended well")


@check
def broken_streams_are_errors():
    for model in ["fault.stream-cut", "fault.bad-checksum"]:
        try:
            for _ in client().converse_stream(modelId=model, messages=ask())["stream"]:
                pass
        except Exception as error:
            assert not isinstance(error, (ClientError, AssertionError)), error
        else:
            raise AssertionError(f"{model} ended well")


@check
def stream_without_its_end():
    events = list(client().converse_stream(modelId="fault.no-message-stop", messages=ask())["stream"])
    names = [next(iter(event)) for event in events]
    assert names[-1] == "contentBlockStop" and "metadata" not in names


@check
def code_without_a_class_is_told():
    try:
        client().converse(modelId="fault.no-form", messages=ask())
    except ClientError as error:
        assert error.response["Error"]["Code"] == "FTUFormNotFilled"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    else:
        raise AssertionError("the call was answered")


@check
def dead_region_reads_nothing():
    bedrock = client(region="ap-south-1")
    for model, messages in [("amazon.nova-pro-v1:0", ask()), ("amazon.nova-pro-v1:0", []), ("no.such-model", ask())]:
        try:
            bedrock.converse(modelId=model, messages=messages)
        except ConnectionClosedError:
            continue
        raise AssertionError("the region answered")


@check
def client_that_leaves_frees_its_place():
    stream = client().converse_stream(modelId="fault.stream-stall", messages=ask())["stream"]
    assert "messageStart" in next(iter(stream))
    held = lambda: own("/_sim/ledger")["totals"]["in_flight"]
    assert held() == 1
    stream.close()
    deadline = time.monotonic() + 10
    while held() != 0:
        assert time.monotonic() < deadline, "the call is still in flight"
        time.sleep(0.01)


@check
def nothing_stays_in_flight():
    totals = own("/_sim/ledger")["totals"]
    assert totals["in_flight"] == 0 and totals["tokens_held"] == 0, totals


def main():
    own("/_sim/reset", "POST")
    failed = 0
    for function in CHECKS:
        try:
            function()
            print(f"ok      {function.__name__}")
        except Exception:
            failed += 1
            print(f"FAILED  {function.__name__}")
            traceback.print_exc()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
