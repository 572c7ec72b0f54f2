// Says what Prism thinks of requests to the API of a document.
//
// Its first line is `{"url", "operations"}`: where it listens, and what the document has, as Prism reads it. To each request that fits
// the document it answers 200 with the operation, to any other 422 with what is wrong. It ends with its standard input.
import { createServer } from "node:http";
import { getHttpOperationsFromSpec, createInstance } from "@stoplight/prism-http";
import { createLogger } from "@stoplight/prism-core";
import * as E from "fp-ts/lib/Either.js";

const operations = await getHttpOperationsFromSpec(process.argv[2]);
const config = {
  isProxy: false,
  checkSecurity: true,
  validateRequest: true,
  validateResponse: false,
  errors: false,
  mock: { dynamic: false },
};
// Nothing is made up as an answer: which operation it was is all that is asked.
const mock = ({ resource }) => () =>
  E.right({ statusCode: 200, headers: {}, body: `${resource.method.toUpperCase()} ${resource.path}` });
const prism = createInstance(config, { logger: createLogger("peer", { enabled: false }), mock });

const read = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  if (text === "") return null;
  return /[/+]json(;|$)/.test(request.headers["content-type"] ?? "") ? JSON.parse(text) : text;
};

const server = createServer(async (request, response) => {
  const answer = (status, told) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(told));
  };
  try {
    const { searchParams, pathname } = new URL(request.url, "http://peer.invalid");
    const query = {};
    for (const name of new Set(searchParams.keys())) {
      const all = searchParams.getAll(name);
      query[name] = all.length > 1 ? all : all[0];
    }
    const input = {
      method: request.method.toLowerCase(),
      url: { path: pathname, query },
      headers: request.headers,
      body: await read(request),
    };
    const result = await prism.request(input, operations, config)();
    if (result._tag === "Left") return answer(422, { violations: [String(result.left)] });
    const { output, validations } = result.right;
    // That something is deprecated is a warning.
    const errors = validations.input.filter((one) => one.severity === 0 || one.severity === "Error");
    const wrong = errors.map((one) => `${(one.path ?? []).join(".")}: ${one.message}`);
    return wrong.length > 0 ? answer(422, { violations: wrong }) : answer(200, { accepted: output.body });
  } catch (error) {
    return answer(500, { violations: [String(error)] });
  }
});

const named = (list) => (list ?? []).map((one) => one.name);
const told = operations.map(({ method, path, request }) => ({
  method: method.toUpperCase(),
  path,
  parameters: {
    path: named(request?.path),
    query: named(request?.query),
    header: named(request?.headers),
    cookie: named(request?.cookie),
  },
  body: (request?.body?.contents ?? []).map((content) => content.mediaType),
}));
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}`, operations: told }));
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
