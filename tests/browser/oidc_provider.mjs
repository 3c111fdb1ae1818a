// A real OpenID provider for the tests: npm's oidc-provider, with its own login and consent pages.
// oidc_provider.mjs FOLDER PORT REDIRECT_URI ACCOUNTS: FOLDER holds node_modules, ACCOUNTS is a JSON file that says of
// each account which claims it has, read at each request.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, port, redirect, accounts] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`).href);

const issuer = `http://localhost:${port}`;
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "restic-manager",
      client_secret: "a secret of the tests: 100 % +",
      redirect_uris: [redirect],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"], email: ["email"] },
  pkce: { required: () => true, methods: ["S256"] },
  cookies: { keys: ["of the tests"] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, ...JSON.parse(readFileSync(accounts, "utf8"))[id] }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
