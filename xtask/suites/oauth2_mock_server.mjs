// An authorization server of others for the tests: npm `oauth2-mock-server`, which knows OpenID Connect Discovery only.
// It prints the port that it listens on, and ends when its input does.
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const home = path.resolve(process.argv[2], "package.json");
const found = createRequire(home).resolve("oauth2-mock-server");
const { OAuth2Server } = await import(pathToFileURL(found));

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(0, "127.0.0.1");
server.issuer.url = `http://127.0.0.1:${server.address().port}`;
console.log(server.address().port);

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
