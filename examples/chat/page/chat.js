// The conversation. It is sent by POST, so that no prompt stands in a URL, and read as server-sent
// events by hand: an EventSource would neither post nor tell why it was refused.

const log = document.getElementById("log");
const form = document.getElementById("form");
const prompt = document.getElementById("prompt");
const send = document.getElementById("send");
const stop = document.getElementById("stop");

/** What was said, for the model to go on from. */
const history = [];
let running = null;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = prompt.value.trim();
  if (text && !running) ask(text);
});

prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

// The connection closes, and the server drops the call and all that it holds.
stop.addEventListener("click", () => running?.abort());

async function ask(text) {
  running = new AbortController();
  busy(true);
  prompt.value = "";
  log.querySelector(".empty")?.remove();
  add("user").querySelector(".text").textContent = text;
  const turn = add("assistant");
  turn.querySelector(".about").textContent = "waiting …";
  let answer = "";
  try {
    const body = { prompt: text, history: history.slice(-10) };
    for await (const { event, data } of events(body, running.signal)) {
      if (event === "start") {
        turn.querySelector(".about").textContent = about(data);
      } else if (event === "delta") {
        answer += data.text;
        turn.querySelector(".text").textContent = answer;
        follow();
      } else if (event === "done") {
        turn.querySelector(".about").textContent = about(data.served, data.usage);
        turn.dataset.state = "done";
      } else if (event === "error") {
        throw new Refused(data.error);
      }
    }
    history.push({ role: "user", text }, { role: "assistant", text: answer });
  } catch (error) {
    fail(turn, error, answer, text);
  } finally {
    running = null;
    busy(false);
    follow();
  }
}

/** Why there is no answer, or no whole one. */
function fail(turn, error, answer, text) {
  turn.dataset.state = "failed";
  const stopped = error.name === "AbortError";
  turn.querySelector(".about").textContent = stopped
    ? "stopped"
    : `${error.code ?? "no connection"}: ${error.message}`;
  if (error.retryAfter) {
    turn.querySelector(".about").textContent += ` Try again in ${error.retryAfter} s.`;
  }
  if (!answer && !stopped && !prompt.value) prompt.value = text;
}

class Refused extends Error {
  constructor({ code, message, retry_after }) {
    super(message);
    this.code = code;
    this.retryAfter = retry_after;
  }
}

async function* events(body, signal) {
  const response = await fetch("/chat/stream", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-tenant": document.getElementById("tenant").value || "page",
      "x-timeout-ms": String(1000 * (Number(document.getElementById("timeout").value) || 30)),
    },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok) throw new Refused((await response.json()).error);
  let rest = "";
  const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await lines.read();
    if (done) break;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = /^event: ?(.*)$/m.exec(part)?.[1];
      const data = /^data: ?(.*)$/m.exec(part)?.[1];
      if (event && data) yield { event, data: JSON.parse(data) };
    }
  }
}

function add(who) {
  const turn = document.createElement("article");
  turn.className = `turn ${who}`;
  for (const part of ["text", "about"]) {
    const paragraph = document.createElement("p");
    paragraph.className = part;
    turn.append(paragraph);
  }
  log.append(turn);
  follow();
  return turn;
}

function about(served, usage) {
  const parts = [served.model, served.region];
  if (served.attempts > 1) parts.push(`${served.attempts} attempts`);
  if (served.degraded) parts.push("fallback model");
  if (usage) parts.push(`${usage.input} + ${usage.output} tokens`);
  return parts.filter(Boolean).join(" · ");
}

/** While an answer grows, it is not read out; when it is whole, it is. */
function busy(is) {
  log.setAttribute("aria-busy", String(is));
  send.disabled = is;
  stop.hidden = !is;
}

function follow() {
  log.scrollTop = log.scrollHeight;
}
