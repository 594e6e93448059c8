// A receiver of webhooks for the tests, which lets in whoever proves who they are:
// `bearer ISSUER` by an access token that its authorization server calls active (RFC 7662), `wsse NAME SECRET` by a
// UsernameToken (OASIS WSS UsernameToken Profile 1.1.1) that was not seen before.
// It prints the port that it listens on, and ends when its input does. /write asks for the scope files:write; /flaky answers
// 503 to the first message that it lets in; GET answers a CSV file; GET /seen tells of all requests but those for it.
import { createHash } from "node:crypto";
import http from "node:http";

const [how, ...rest] = process.argv.slice(3);
const seen = [];
const nonces = new Set();
const LIFE = 5 * 60 * 1000;

const gates = {
  async bearer({ url, headers }) {
    const token = /^Bearer (\S+)$/.exec(headers.authorization ?? "")?.[1];
    if (!token) return [401, "Bearer"];
    const us = ["machine:1", "s3cret /%: of a machine"].map(encodeURIComponent).join(":");
    const answer = await fetch(`${rest[0]}/token/introspection`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(us).toString("base64")}` },
      body: new URLSearchParams({ token }),
    });
    const said = await answer.json();
    if (said.active !== true) return [401, 'Bearer error="invalid_token"'];
    const scopes = (said.scope ?? "").split(" ");
    if (url.startsWith("/write") && !scopes.includes("files:write")) {
      return [403, 'Bearer error="insufficient_scope", scope="files:write"'];
    }
  },
  wsse({ headers }) {
    const [name, secret] = rest;
    const form = /^UsernameToken Username="(.*)", PasswordDigest="(.*)", Nonce="(.*)", Created="(.*)"$/;
    const [, username, digest, encoded, created] = form.exec(headers["x-wsse"] ?? "") ?? [];
    const nonce = Buffer.from(encoded ?? "", "base64").toString();
    const expected = createHash("sha1").update(nonce + created + secret).digest("base64");
    const isNew = /^[0-9a-f]{32,}$/.test(nonce) && !nonces.has(nonce);
    const isTimely = Math.abs(Date.now() - Date.parse(created)) < LIFE;
    nonces.add(nonce);
    if (username !== name || digest !== expected || !isNew || !isTimely) return [401, "WSSE"];
  },
};

let refusals = 1;
const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const piece of request) body += piece;
  if (request.url === "/seen") return response.end(JSON.stringify(seen));
  const [refused, challenge] = (await gates[how](request)) ?? [];
  const isLate = !refused && request.url.startsWith("/flaky") && request.method === "POST" && refusals-- > 0;
  const isFile = request.method === "GET";
  const status = refused ?? (isLate ? 503 : isFile ? 200 : 204);
  const credentials = request.headers.authorization ?? request.headers["x-wsse"];
  seen.push({ method: request.method, url: request.url, status, credentials, body });
  response.writeHead(status, challenge ? { "www-authenticate": challenge } : {}).end(isFile ? "id,name\n1,Ada\n" : "");
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
