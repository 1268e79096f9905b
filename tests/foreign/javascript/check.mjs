// Checks bedrock-sim against the AWS SDK for JavaScript: `check.mjs ENDPOINT`, with scenario.toml
// beside this folder. The SDK speaks HTTP/2 unless it is told otherwise.

import assert from "node:assert/strict";
import {
  AccessDeniedException,
  ApplyGuardrailCommand,
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  CountTokensCommand,
  InternalServerException,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  ModelErrorException,
  ModelNotReadyException,
  ModelTimeoutException,
  ResourceNotFoundException,
  ServiceUnavailableException,
  ThrottlingException,
  ValidationException,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const endpoint = process.argv[2].replace(/\/$/, "");
const NOVA = "amazon.nova-lite-v1:0";
const CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl";

const checks = [];
const check = (name, run) => checks.push({ name, run });
const clients = [];

function client({ maxAttempts = 1, region = "us-east-1", http1 = false } = {}) {
  const made = new BedrockRuntimeClient({
    endpoint,
    region,
    maxAttempts,
    credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
    ...(http1 ? { requestHandler: new NodeHttpHandler() } : {}),
  });
  clients.push(made);
  return made;
}

const ask = (text = "Hello, what is the weather like?") => [{ role: "user", content: [{ text }] }];

async function own(path, method = "GET") {
  const reply = await fetch(endpoint + path, { method });
  assert.equal(reply.status, 200);
  return reply.json();
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const names = (events) => events.map((event) => Object.keys(event)[0]);

for (const http1 of [false, true]) {
  const version = http1 ? "HTTP/1.1" : "HTTP/2";

  check(`converse answers over ${version}`, async () => {
    const reply = await client({ http1 }).send(new ConverseCommand({ modelId: NOVA, messages: ask() }));
    assert.ok(reply.output.message.content[0].text.trim());
    assert.equal(reply.stopReason, "end_turn");
    assert.equal(reply.usage.outputTokens, 20);
    assert.equal(reply.usage.totalTokens, reply.usage.inputTokens + 20);
    assert.equal(reply.$metadata.httpStatusCode, 200);
    assert.equal(reply.$metadata.requestId.length, 36);
    assert.equal(reply.$metadata.attempts, 1);
  });

  check(`converse stream keeps its order over ${version}`, async () => {
    const reply = await client({ http1 }).send(new ConverseStreamCommand({ modelId: NOVA, messages: ask() }));
    const events = await all(reply.stream);
    const deltas = names(events).filter((name) => name === "contentBlockDelta");
    assert.ok(deltas.length > 2);
    assert.deepEqual(names(events), ["messageStart", ...deltas, "contentBlockStop", "messageStop", "metadata"]);
    assert.equal(events.at(-1).metadata.usage.outputTokens, 20);
  });

  check(`a stream that is cut is an error over ${version}`, async () => {
    const command = new ConverseStreamCommand({ modelId: "fault.stream-cut", messages: ask() });
    const seen = [];
    await assert.rejects(async () => {
      const reply = await client({ http1 }).send(command);
      for await (const event of reply.stream) seen.push(event);
    });
    assert.deepEqual(names(seen), ["messageStart", "contentBlockDelta", "contentBlockDelta"]);
  });

  check(`a reset is retried over ${version}`, async () => {
    await own("/_sim/reset", "POST");
    const command = new ConverseCommand({ modelId: "fault.reset-once", messages: ask() });
    const reply = await client({ http1, maxAttempts: 3 }).send(command);
    assert.equal(reply.$metadata.attempts, 2);
  });
}

check("many streams at once", async () => {
  const bedrock = client();
  const replies = await Promise.all(
    Array.from({ length: 50 }, () => bedrock.send(new ConverseStreamCommand({ modelId: NOVA, messages: ask() }))),
  );
  for (const reply of replies) assert.equal(names(await all(reply.stream)).at(-1), "metadata");
});

const anthropicBody = (more = {}) =>
  JSON.stringify({
    anthropic_version: "bedrock-2023-05-31",
    max_tokens: 100,
    messages: [{ role: "user", content: "Hello, what is the weather like?" }],
    ...more,
  });

check("invoke model speaks Anthropic", async () => {
  const reply = await client().send(new InvokeModelCommand({ modelId: CLAUDE, body: anthropicBody() }));
  const body = JSON.parse(new TextDecoder().decode(reply.body));
  assert.equal(body.type, "message");
  assert.equal(body.content[0].type, "text");
  assert.equal(body.usage.output_tokens, 20);
  assert.equal(reply.contentType, "application/json");
});

check("invoke model streams Anthropic", async () => {
  const reply = await client().send(
    new InvokeModelWithResponseStreamCommand({ modelId: CLAUDE, body: anthropicBody() }),
  );
  const events = (await all(reply.body)).map((event) => JSON.parse(new TextDecoder().decode(event.chunk.bytes)));
  const types = events.map((event) => event.type);
  const deltas = types.filter((type) => type === "content_block_delta");
  assert.deepEqual(types, [
    "message_start",
    "content_block_start",
    ...deltas,
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  assert.equal(events.at(-1)["amazon-bedrock-invocationMetrics"].outputTokenCount, 20);
});

check("invoke model calls a forced tool", async () => {
  const body = anthropicBody({
    tools: [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } } } }],
    tool_choice: { type: "any" },
  });
  const reply = await client().send(new InvokeModelCommand({ modelId: CLAUDE, body }));
  const message = JSON.parse(new TextDecoder().decode(reply.body));
  assert.equal(message.stop_reason, "tool_use");
  assert.equal(message.content[0].name, "weather");
  assert.equal(typeof message.content[0].input.city, "string");
});

check("every way of counting agrees", async () => {
  const bedrock = client();
  const { usage } = await bedrock.send(new ConverseCommand({ modelId: CLAUDE, messages: ask() }));
  const body = new TextEncoder().encode(anthropicBody());
  for (const input of [{ converse: { messages: ask() } }, { invokeModel: { body } }]) {
    const counted = await bedrock.send(new CountTokensCommand({ modelId: CLAUDE, input }));
    assert.equal(counted.inputTokens, usage.inputTokens);
  }
});

check("a guardrail applies", async () => {
  const reply = await client().send(
    new ApplyGuardrailCommand({
      guardrailIdentifier: "abc123",
      guardrailVersion: "DRAFT",
      source: "OUTPUT",
      content: [{ text: { text: "hi" } }],
    }),
  );
  assert.equal(reply.action, "NONE");
});

check("an ARN is one label", async () => {
  const reply = await client().send(new ConverseCommand({ modelId: PROFILE, messages: ask() }));
  assert.equal(reply.usage.outputTokens, 20);
});

check("the region comes from the signature", async () => {
  const command = () => new ConverseCommand({ modelId: "amazon.nova-micro-v1:0", messages: ask() });
  const reply = await client({ region: "eu-central-1" }).send(command());
  assert.equal(reply.usage.outputTokens, 5);
  await assert.rejects(client().send(command()), ValidationException);
});

for (const [modelId, status, exception, attempts] of [
  ["fault.throttled", 429, ThrottlingException, 3],
  ["fault.unavailable", 503, ServiceUnavailableException, 3],
  ["fault.internal", 500, InternalServerException, 3],
  ["fault.not-ready", 429, ModelNotReadyException, 3],
  ["fault.denied", 403, AccessDeniedException, 1],
  ["fault.timeout", 408, ModelTimeoutException, 1],
  ["fault.model-error", 424, ModelErrorException, 1],
  ["fault.not-found", 404, ResourceNotFoundException, 1],
]) {
  check(`${exception.name} after ${attempts} attempts`, async () => {
    const command = new ConverseCommand({ modelId, messages: ask() });
    const error = await client({ maxAttempts: 3 }).send(command).then(
      () => assert.fail("the call was answered"),
      (error) => error,
    );
    assert.ok(error instanceof exception, error.name);
    assert.equal(error.name, exception.name);
    assert.equal(error.$metadata.httpStatusCode, status);
    assert.equal(error.$metadata.attempts, attempts);
    if (modelId === "fault.model-error") assert.equal(error.originalStatusCode, 500);
  });
}

check("the SDK retries through", async () => {
  await own("/_sim/reset", "POST");
  const command = new ConverseCommand({ modelId: "fault.throttled-twice", messages: ask() });
  const reply = await client({ maxAttempts: 3 }).send(command);
  assert.equal(reply.$metadata.attempts, 3);
});

check("an exception inside a stream has its class", async () => {
  const command = new ConverseStreamCommand({ modelId: "fault.stream-throttled", messages: ask() });
  const reply = await client().send(command);
  const seen = [];
  await assert.rejects(async () => {
    for await (const event of reply.stream) seen.push(event);
  }, ThrottlingException);
  assert.deepEqual(names(seen), ["messageStart", "contentBlockDelta"]);
});

check("a wrong checksum is an error", async () => {
  const reply = await client().send(new ConverseStreamCommand({ modelId: "fault.bad-checksum", messages: ask() }));
  await assert.rejects(all(reply.stream));
});

check("bad requests are refused", async () => {
  const refused = async (command, text) => {
    await assert.rejects(client().send(command), (error) => {
      assert.ok(error instanceof ValidationException);
      assert.ok(error.message.startsWith(text), error.message);
      return true;
    });
  };
  const assistant = [{ role: "assistant", content: [{ text: "hi" }] }];
  await refused(new ConverseCommand({ modelId: NOVA, messages: assistant }), "A conversation must start with");
  await refused(new ConverseCommand({ modelId: NOVA, messages: ask(" ") }), "The text field in the ContentBlock");
  const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", messages: [] });
  await refused(new InvokeModelCommand({ modelId: CLAUDE, body }), "max_tokens: Field required");
});

for (const http1 of [false, true]) {
  check(`a client that leaves frees its place over ${http1 ? "HTTP/1.1" : "HTTP/2"}`, async () => {
    const leaving = new AbortController();
    const command = new ConverseStreamCommand({ modelId: "fault.stream-stall", messages: ask() });
    const reply = await client({ http1 }).send(command, { abortSignal: leaving.signal });
    const held = async () => (await own("/_sim/ledger")).totals.in_flight;
    const reading = reply.stream[Symbol.asyncIterator]();
    assert.ok((await reading.next()).value.messageStart);
    assert.equal(await held(), 1);
    const rest = reading.next().then(() => reading.next());
    rest.catch(() => {});
    leaving.abort();
    clients.at(-1).destroy();
    const deadline = Date.now() + 10_000;
    while ((await held()) !== 0) assert.ok(Date.now() < deadline, "the call is still in flight");
  });
}

check("nothing stays in flight", async () => {
  const { totals } = await own("/_sim/ledger");
  assert.equal(totals.in_flight, 0);
  assert.equal(totals.tokens_held, 0);
});

await own("/_sim/reset", "POST");
let failed = 0;
for (const { name, run } of checks) {
  try {
    await run();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}`);
    console.error(error);
  }
}
for (const made of clients) made.destroy();
console.log(`${checks.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
