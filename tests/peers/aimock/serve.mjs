// A stand-in for OpenAI and Amazon Bedrock: aimock speaks their protocols, and the researcher below decides what to say.
//
// It prints one line with its address, answers each line `journal` with a line of what was asked, and ends with its stdin.
// What a model does besides research is in its name: see FAULTS.
import { createInterface } from "node:readline";
import { LLMock } from "@copilotkit/aimock";

/** The results of all calls so far, by the tool's name, oldest first. */
function results(messages) {
  const names = new Map();
  const found = {};
  for (const message of messages) {
    for (const call of message.tool_calls ?? []) names.set(call.id, call.function.name);
    if (message.role !== "tool") continue;
    const name = names.get(message.tool_call_id);
    let value = message.content;
    try {
      value = JSON.parse(message.content);
    } catch {
      // An error in words.
    }
    (found[name] ??= []).push(value);
  }
  return found;
}

const call = (name, args) => ({ name, arguments: JSON.stringify(args) });
const last = (list) => list?.at(-1);
const text = (content) => (Array.isArray(content) ? content.map((part) => part.text ?? "").join("") : (content ?? ""));

/** What a researcher says next: it looks, asks for prices, plans, buys two sources, reads, and answers with a quote. */
function research({ messages, tools }) {
  const question = text(messages.find((message) => message.role === "user")?.content);
  if (!tools?.some((tool) => tool.function.name === "search_market")) return { content: `You asked: ${question}` };
  const known = results(messages);
  const hits = last(known.search_market?.filter((result) => result?.results))?.results;
  if (!hits) {
    return {
      reasoning: "First I look at what there is, and at what it costs.",
      toolCalls: [call("budget", {}), call("search_market", { query: question }), call("recall", { query: question })],
    };
  }
  const titles = [...new Set(hits.map((hit) => hit.title))].slice(0, 2);
  const wanted = hits.filter((hit) => titles.includes(hit.title));
  const open = wanted.some((hit) => !hit.owned);
  if (open && !known.get_quotes) return { toolCalls: [call("get_quotes", { urls: wanted.map((hit) => hit.url) })] };
  const title = (url) => hits.find((hit) => hit.url === url)?.title;
  const cheapest = new Map();
  for (const quote of last(known.get_quotes)?.quotes ?? []) {
    const best = cheapest.get(title(quote.url));
    if (quote.payable && !(best?.price_micro_usd <= quote.price_micro_usd)) cheapest.set(title(quote.url), quote);
  }
  const chosen = [...cheapest.values()];
  if (open && !known.propose_plan) {
    const items = chosen.map((quote) => ({ quote_id: quote.quote_id, count: 1, purpose: "answers the question" }));
    return { content: "I buy the two that fit best.", toolCalls: [call("propose_plan", { purpose: question, items })] };
  }
  if (open && !known.fetch) return { toolCalls: chosen.map((quote) => call("fetch", { url: quote.url })) };
  if (!known.recall || (open && known.recall.length < 2)) return { toolCalls: [call("recall", { query: question })] };
  const passage = last(known.recall)?.passages?.[0];
  if (!passage) return { content: "I found nothing." };
  const quote = passage.text.split(/(?<=\.)\s/)[0];
  const [artifact] = passage.citation.split("#");
  return {
    toolCalls: [
      call("finish", {
        answer: `${quote.replace(/\s+/g, " ")} [1]`,
        citations: [{ number: 1, citation: passage.citation, quote }],
        uses: [{ artifact, used_for: "the answer" }],
      }),
    ],
  };
}

/** How often each request came, so that a fault comes once and not again when the same is asked once more. */
const seen = new Map();
function first(request) {
  const key = JSON.stringify([request.model, request.messages]);
  seen.set(key, (seen.get(key) ?? 0) + 1);
  return seen.get(key) === 1;
}

const FAULTS = [
  // Every request is first refused, and told when to come again.
  ["busy", { error: { message: "slow down", type: "rate_limit_error", code: "rate_limit_exceeded" }, status: 429, retryAfter: 0 }, {}],
  // Every request first fails.
  ["failing", { error: { message: "oops", type: "server_error" }, status: 503 }, {}],
  // The key is refused.
  ["locked", { error: { message: "no such key", code: "invalid_api_key" }, status: 401 }, { when: () => true }],
  // Every stream first breaks off.
  ["cut", research, { truncateAfterChunks: 5 }],
  // Calls of a tool that is not there, and of one with arguments that are not JSON, come before everything else.
  [
    "clumsy",
    { toolCalls: [call("buy_everything", {}), { name: "search_market", arguments: '{"query": ' }] },
    { when: (request) => !request.messages.some((message) => message.role === "tool") },
  ],
];

const mock = new LLMock({ port: 0, host: "127.0.0.1", logLevel: "silent", chunkSize: 7, strict: true, journalMaxEntries: 0 });
for (const [name, response, { when = first, ...options }] of FAULTS) {
  const match = { predicate: (request) => request.model?.includes(name) === true && when(request) };
  mock.on(match, typeof response === "function" ? response : () => response, options);
}
mock.on({}, research);
await mock.start();
console.log(JSON.stringify({ url: mock.url }));

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  if (line !== "journal") return;
  const requests = mock.getRequests().map(({ method, path, body, response }) => ({
    method,
    path,
    model: body?.model,
    stream: body?.stream ?? null,
    status: response?.status,
  }));
  console.log(JSON.stringify(requests));
});
lines.on("close", () => process.exit(0));
