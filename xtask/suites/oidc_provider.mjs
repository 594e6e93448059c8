// An authorization server of others for the tests: npm `oidc-provider`, with everything on that a client may meet.
// It prints the port that it listens on, agrees to everything in the name of one person, and ends when its input does.
// Access tokens live for as many seconds as its last argument says. POST /take-back has the person take back all that they gave.
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const home = path.resolve(process.argv[2], "package.json");
const found = createRequire(home).resolve("oidc-provider");
const { Provider, errors } = await import(pathToFileURL(found));

// What it has to say beside the port belongs elsewhere: whoever started it reads one line.
console.info = console.warn = console.error;

// What it knows of the private keys that tests have, which everybody knows: they are those of the RFCs.
const half = (kid, name) => {
  const pem = readFileSync(new URL(`../../crates/testkit/keys/${name}.pem`, import.meta.url));
  return { ...createPublicKey(pem).export({ format: "jwk" }), kid, use: "sig" };
};

const RESOURCE = "https://files.test/mcp";
const life = Number(process.argv[3] ?? 3600);
const given = new Set();

const server = http.createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
    scopes: ["openid", "offline_access", "files:read", "files:write"],
    ttl: { AccessToken: life, ClientCredentials: life },
    clients: [
      {
        client_id: "machine:1",
        client_secret: "s3cret /%: of a machine",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: "machine:2",
        token_endpoint_auth_method: "private_key_jwt",
        jwks: { keys: [half("p256", "rfc7515-a3-p256"), half("rsa", "rfc7515-a2-rsa")] },
        grant_types: ["authorization_code", "refresh_token", "client_credentials"],
        application_type: "native",
        redirect_uris: ["http://127.0.0.1:7777/callback"],
      },
    ],
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async (ctx, client, code) => code.scopes.has("offline_access"),
    async findAccount(ctx, id) {
      return { accountId: id, claims: async () => ({ sub: id }) };
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      revocation: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (ctx, resource) => {
          if (resource !== RESOURCE) throw new errors.InvalidTarget();
          return { scope: "files:read", audience: resource, accessTokenFormat: "opaque" };
        },
      },
    },
  });
  provider.use(async (ctx, next) => {
    if (ctx.path === "/take-back" && ctx.method === "POST") {
      for (const id of given) await (await provider.Grant.find(id))?.destroy();
      ctx.status = 204;
      return;
    }
    if (!ctx.path.startsWith("/interaction/")) return next();
    const details = await provider.interactionDetails(ctx.req, ctx.res);
    const result = await agreed(provider, details);
    ctx.respond = false;
    await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
  });
  server.on("request", provider.callback());
  console.log(port);
});

async function agreed(provider, { prompt, params, session, grantId }) {
  if (prompt.name === "login") return { login: { accountId: "somebody" } };
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(" "));
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(" "));
  }
  const saved = await grant.save();
  given.add(saved);
  return { consent: { grantId: saved } };
}

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
