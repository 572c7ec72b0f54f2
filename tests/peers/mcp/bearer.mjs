// Puts a caller's token before a server that asks for one, for a client that sends none: node bearer.mjs URL TOKEN
// Prints its own address. Host and Origin go on as they came, but for its own name.
import http from 'node:http';

const [url, token] = process.argv.slice(2);
const upstream = new URL(url);
const server = http.createServer((request, response) => {
  const own = `:${server.address().port}`;
  const named = (text) => text && text.replace(new RegExp(`(localhost|127\\.0\\.0\\.1)${own}$`), upstream.host);
  const headers = { ...request.headers, authorization: `Bearer ${token}`, host: named(request.headers.host) };
  if (headers.origin) headers.origin = named(headers.origin);
  const onward = http.request(
    { hostname: upstream.hostname, port: upstream.port, path: request.url, method: request.method, headers },
    (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on('error', () => response.writeHead(502).end());
  request.pipe(onward);
});
server.listen(0, '127.0.0.1', () => {
  console.log(`http://localhost:${server.address().port}${upstream.pathname}`);
});
