// A real OpenID Connect issuer (oidc-provider) on this machine. It prints its address, and then answers each line of its
// standard input with one line of JSON:
//
//   token client_credentials urn:anita       an access token for a service
//   token authorization_code urn:anita:es    one for somebody who signs in and consents, in the browser's way
//   rotate                                   a new key signs from now on; those before it are still published
//   forget                                   only the newest keys are published
//   redirect http://127.0.0.1:8080/back      the clients `board` (with a secret) and `public-board` may be sent back there
//   scopes viewer                            what access tokens may have from now on, beside `openid`
//   end alice                                the refresh tokens of somebody are not taken any more
//
// `urn:anita` has its tokens signed with RS256, `urn:anita:es` with ES256; those of `urn:anita:short` are valid for 8
// seconds, those of `urn:anita:brief` for 30. Whoever signs in as `nobody` has no roles.
//
// One that is started anew is the same issuer with ANITA_ISSUER_PORT, its port, and ANITA_ISSUER_KEYS, a file that has its
// keys. ANITA_ISSUER_URL is where others find it when something is in between.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import Provider from 'oidc-provider';

const CALLBACK = 'http://127.0.0.1/callback';
const SECRET = 'a secret of the client, not of the issuer';

const { ANITA_ISSUER_PORT: PORT = '0', ANITA_ISSUER_KEYS: KEYS_FILE, ANITA_ISSUER_URL: URL_FOR_OTHERS } = process.env;

let redirects = [CALLBACK];
let scopes = 'viewer operator';
const ended = new Set();
let keys = KEYS_FILE && existsSync(KEYS_FILE) ? JSON.parse(readFileSync(KEYS_FILE, 'utf8')) : [];
let generation = Math.max(0, ...keys.map((key) => Number(key.kid.split('-')[1])));

function keep() {
  if (KEYS_FILE) writeFileSync(KEYS_FILE, JSON.stringify(keys));
}

function rotate() {
  generation += 1;
  const made = [
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ].map(([alg, pair]) => ({
    ...pair.privateKey.export({ format: 'jwk' }),
    alg,
    use: 'sig',
    kid: `${alg}-${generation}`,
  }));
  keys = [...made, ...keys];
  keep();
}

function provider(issuer) {
  const made = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: 'service',
        client_secret: SECRET,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
      { client_id: 'page', client_secret: SECRET, grant_types: ['authorization_code'], redirect_uris: [CALLBACK] },
      {
        client_id: 'board',
        client_secret: SECRET,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: redirects,
        // Signed out here, people are sent to the beginning of the page.
        post_logout_redirect_uris: redirects.map((uri) => new URL('/', uri).href),
      },
      {
        client_id: 'public-board',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code'],
        redirect_uris: redirects,
      },
    ],
    // What somebody may do is in the ID token, too.
    claims: { openid: ['sub', 'roles'] },
    conformIdTokenClaims: false,
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    cookies: { keys: ['a key of cookies'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: scopes,
          audience: 'anita',
          accessTokenFormat: 'jwt',
          accessTokenTTL: { short: 8, brief: 30 }[resource.split(':').at(-1)] ?? 600,
          jwt: { sign: { alg: resource.endsWith(':es') ? 'ES256' : 'RS256' } },
        }),
      },
    },
    findAccount: (context, id) => {
      if (context.oidc.route === 'token' && ended.has(id)) return undefined;
      return { accountId: id, claims: () => ({ sub: id, roles: id === 'nobody' ? [] : ['viewer'] }) };
    },
  });
  return made.callback();
}

async function ask(url, form) {
  const response = await fetch(url, {
    method: 'POST',
    body: new URLSearchParams(form),
    headers: { authorization: `Basic ${btoa(`${form.client_id}:${encodeURIComponent(SECRET)}`)}` },
  });
  const answer = await response.json();
  if (!answer.access_token) throw new Error(JSON.stringify(answer));
  return answer.access_token;
}

/** What a browser does: follows, keeps cookies, and sends the forms of the login and of the consent. */
async function signIn(issuer, resource) {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const query = {
    client_id: 'page',
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid viewer',
    resource,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  };
  const cookies = new Map();
  let url = new URL(`/auth?${new URLSearchParams(query)}`, issuer);
  let forms = [{ prompt: 'login', login: 'alice', password: 'any' }, { prompt: 'consent' }];
  for (let step = 0; step < 20; step += 1) {
    const isForm = url.pathname.startsWith('/interaction/');
    const response = await fetch(url, {
      redirect: 'manual',
      method: isForm ? 'POST' : 'GET',
      body: isForm ? new URLSearchParams(forms.shift()) : undefined,
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split('=');
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (!location) throw new Error(`${response.status} at ${url.pathname}: ${await response.text()}`);
    url = new URL(location, issuer);
    const code = url.searchParams.get('code');
    if (url.href.startsWith(CALLBACK)) {
      if (!code) throw new Error(url.href);
      const grant = {
        grant_type: 'authorization_code',
        code,
        redirect_uri: CALLBACK,
        code_verifier: verifier,
        resource,
      };
      return ask(new URL('/token', issuer), { client_id: 'page', ...grant });
    }
  }
  throw new Error('signing in does not end');
}

let handler;
const server = createServer((request, response) => handler(request, response));
server.listen(Number(PORT), '127.0.0.1', () => {
  const here = `http://127.0.0.1:${server.address().port}`;
  const issuer = URL_FOR_OTHERS ?? here;
  const begin = () => (handler = provider(issuer));
  if (keys.length === 0) rotate();
  begin();
  console.log(JSON.stringify({ issuer }));
  const commands = {
    token: async (grant, resource) => {
      if (grant === 'authorization_code') return { token: await signIn(here, resource) };
      const form = { client_id: 'service', grant_type: grant, scope: 'viewer', resource };
      return { token: await ask(new URL('/token', here), form) };
    },
    rotate: () => {
      rotate();
      begin();
      return { generation };
    },
    redirect: (uri) => {
      redirects = [...redirects, uri];
      begin();
      return { redirects };
    },
    scopes: (...words) => {
      scopes = words.join(' ');
      begin();
      return { scopes };
    },
    end: (id) => {
      ended.add(id);
      return { ended: [...ended] };
    },
    forget: () => {
      keys = keys.slice(0, 2);
      keep();
      begin();
      return { generation };
    },
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [name, ...words] = line.split(' ');
    Promise.resolve()
      .then(() => commands[name](...words))
      .catch((error) => ({ error: String(error) }))
      .then((answer) => console.log(JSON.stringify(answer)));
  });
  // Whoever started this is gone.
  lines.on('close', () => process.exit(0));
});
