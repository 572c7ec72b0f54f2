// Buys one document with the official SDK's client: node buy.mjs http URL TOKEN | node buy.mjs stdio COMMAND ARGS...
// Prints what came of it as one line of JSON.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [how, ...rest] = process.argv.slice(2);
const transport =
  how === 'http'
    ? new StreamableHTTPClientTransport(new URL(rest[0]), {
        requestInit: { headers: { Authorization: `Bearer ${rest[1]}` } },
      })
    : new StdioClientTransport({ command: rest[0], args: rest.slice(1), stderr: 'inherit' });
const client = new Client({ name: 'buys', version: '1' });
await client.connect(transport);

const call = async (name, args) => {
  const result = await client.callTool({ name, arguments: args });
  return { ...result.structuredContent, isError: result.isError ?? false };
};
const { tools } = await client.listTools();
const found = await call('search_market', { query: 'who pays the gas' });
const url = found.results[0].url;
const before = await call('fetch', { url });
const quoted = await call('quote', { urls: [url] });
const plan = await call('propose_plan', {
  purpose: 'who pays the gas?',
  items: [{ quote_id: quoted.quotes[0].quote_id, count: 1, purpose: 'to read it' }],
});
const bought = await call('fetch', { url });
const again = await call('fetch', { url });
const wrong = await call('fetch', { url: 'file:///etc/passwd' });
const unknown = await client.callTool({ name: 'approve', arguments: {} }).catch((error) => ({ code: error.code }));
console.log(
  JSON.stringify({
    server: client.getServerVersion().name,
    tools: tools.map((tool) => tool.name).sort(),
    before: before.outcome,
    plan: plan.outcome,
    bought: bought.outcome,
    again: again.outcome,
    text: bought.text,
    wrong: [wrong.isError, wrong.reasons[0].code],
    unknown: unknown.code,
  }),
);
await client.close();
