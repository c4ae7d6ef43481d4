// The authorization server of the tests: npm's oidc-provider, strict, on a free loopback port.
//
// Prints one line of JSON ({"issuer": …}) when it serves, and ends when its standard input does, so that it never
// outlives the test run. `/control/…` is for tests alone: lifetimes, counts, revocation, outages, clients.
//
// Environment, all optional: ACCESS_TTL, REFRESH_TTL, CODE_TTL, DEVICE_TTL, ID_TTL (seconds), PORT,
// DPOP_NONCES=0 (ask for no nonces), PAR_REQUIRED=1, ROTATE=0, RESOURCE_SCOPES (tokens for any resource, RFC 8707,
// with these scopes, separated by spaces).

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const env = (name, fallback) => Number(process.env[name] ?? fallback);
const ttl = {
  AccessToken: env('ACCESS_TTL', 3600),
  ClientCredentials: env('ACCESS_TTL', 3600),
  RefreshToken: env('REFRESH_TTL', 86400),
  AuthorizationCode: env('CODE_TTL', 60),
  DeviceCode: env('DEVICE_TTL', 600),
  IdToken: env('ID_TTL', 3600),
};
const behaviour = { rotate: process.env.ROTATE !== '0', nonces: process.env.DPOP_NONCES !== '0' };
const resourceScopes = process.env.RESOURCE_SCOPES ?? '';
let counts = {};
const outages = new Map(); // path -> { status, left, headers, body }

// --- storage: what the tests may look into and take away ---------------------------------------------------

const store = new Map(); // "Model:id" -> { payload, until }
const grantable = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode']);

class Adapter {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload, expiresIn) {
    const until = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
    store.set(`${this.model}:${id}`, { payload, until });
  }

  async find(id) {
    const entry = store.get(`${this.model}:${id}`);
    return entry && entry.until > Date.now() ? entry.payload : undefined;
  }

  async findBy(name, value) {
    for (const [key, { payload, until }] of store) {
      if (key.startsWith(`${this.model}:`) && payload[name] === value && until > Date.now()) return payload;
    }
    return undefined;
  }

  async findByUid(uid) {
    return this.findBy('uid', uid);
  }

  async findByUserCode(userCode) {
    return this.findBy('userCode', userCode);
  }

  async consume(id) {
    store.get(`${this.model}:${id}`).payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    store.delete(`${this.model}:${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const [key, { payload }] of store) {
      if (grantable.has(key.split(':')[0]) && payload.grantId === grantId) store.delete(key);
    }
  }
}

function revokeAccount(account) {
  let ended = 0;
  for (const [key, { payload }] of store) {
    const kind = key.split(':')[0];
    if (payload.accountId === account && (kind === 'Grant' || kind === 'Session' || grantable.has(kind))) {
      store.delete(key);
      if (kind === 'Grant') ended += 1;
    }
  }
  return ended;
}

function liveGrants(account) {
  const found = new Set();
  for (const [key, { payload, until }] of store) {
    const works = key.startsWith('RefreshToken:') && !payload.consumed && until > Date.now();
    if (works && payload.accountId === account) found.add(payload.grantId);
  }
  return [...found];
}

// --- clients and keys ------------------------------------------------------------------------------------------

const loopback = ['http://127.0.0.1/callback', 'http://localhost/callback', 'http://[::1]/callback'];
const native = {
  application_type: 'native',
  redirect_uris: loopback,
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
};
const clients = [
  { ...native, client_id: 'native', client_name: 'Keyfob tests', token_endpoint_auth_method: 'none' },
  {
    ...native,
    client_id: 'basic client:1', // what form-encoding in Basic is for
    client_secret: 'a secret: 50% + this & more',
    token_endpoint_auth_method: 'client_secret_basic',
  },
  {
    ...native,
    client_id: 'post',
    client_secret: 'posted-secret',
    token_endpoint_auth_method: 'client_secret_post',
  },
  {
    client_id: 'service',
    client_secret: 'service-secret',
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
  },
  { ...native, client_id: 'dpop', token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true },
  { ...native, client_id: 'par', token_endpoint_auth_method: 'none', require_pushed_authorization_requests: true },
  ...JSON.parse(process.env.CLIENTS ?? '[]').map((client) => ({ ...native, ...client })),
];

const jwk = (type, options, extra) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  ...extra,
});
const jwks = {
  keys: [
    jwk('rsa', { modulusLength: 2048 }, { alg: 'RS256', kid: 'rsa-1' }),
    jwk('ec', { namedCurve: 'P-256' }, { alg: 'ES256', kid: 'ec-1' }),
    jwk('ed25519', {}, { alg: 'EdDSA', kid: 'ed-1' }),
  ],
};

// --- the server ------------------------------------------------------------------------------------------------

const people = (sub) => ({
  sub,
  name: sub.charAt(0).toUpperCase() + sub.slice(1),
  preferred_username: sub,
  email: `${sub}@example.test`,
  email_verified: true,
});

const configuration = {
  adapter: Adapter,
  clients,
  jwks,
  clockTolerance: 0,
  cookies: { keys: [randomBytes(16).toString('hex')] },
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
  scopes: ['openid', 'offline_access', 'profile', 'email', ...resourceScopes.split(' ').filter(Boolean)],
  findAccount: async (ctx, sub) => ({ accountId: sub, claims: async () => people(sub) }),
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  expiresWithSession: async () => false,
  rotateRefreshToken: () => behaviour.rotate,
  pkce: { required: () => true },
  ttl: {
    AccessToken: () => ttl.AccessToken,
    ClientCredentials: () => ttl.ClientCredentials,
    RefreshToken: () => ttl.RefreshToken,
    AuthorizationCode: () => ttl.AuthorizationCode,
    DeviceCode: () => ttl.DeviceCode,
    IdToken: () => ttl.IdToken,
    Grant: () => 14 * 86400,
    Interaction: () => 3600,
    Session: () => 14 * 86400,
  },
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => behaviour.nonces },
    introspection: { enabled: true },
    pushedAuthorizationRequests: {
      enabled: true,
      requirePushedAuthorizationRequests: process.env.PAR_REQUIRED === '1',
    },
    registration: { enabled: true, initialAccessToken: false },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
    revocation: { enabled: true },
    ...(resourceScopes && {
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: resourceScopes, accessTokenFormat: 'opaque' }),
      },
    }),
    rpInitiatedLogout: { enabled: false },
  },
};

const readBody = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString() || '{}');
};

const controls = {
  'GET counts': async () => counts,
  'POST reset': async () => { counts = {}; outages.clear(); return {}; },
  'POST ttl': async (body) => Object.assign(ttl, body),
  'POST behaviour': async (body) => Object.assign(behaviour, body),
  'POST live': async ({ account }) => liveGrants(account),
  'POST revoke': async ({ account }) => ({ ended: revokeAccount(account) }),
  'POST outage': async ({ path, status = 503, times = 1e9, headers = {}, body = 'down' }) => {
    outages.set(path, { status, left: times, headers, body });
    return {};
  },
  'POST clients': async (client) => {
    const whole = { ...native, ...client };
    store.set(`Client:${whole.client_id}`, { payload: whole, until: Infinity });
    return whole;
  },
  'GET clients': async () => [...store.keys()].filter((key) => key.startsWith('Client:')).map((key) => key.slice(7)),
};

let serve; // the provider's own handler, made once the port is known
const server = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://x').pathname;
  if (path.startsWith('/control/')) {
    const control = controls[`${request.method} ${path.slice('/control/'.length)}`];
    const answer = control ? await control(await readBody(request)) : {};
    response.writeHead(control ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
    return;
  }
  counts[path] = (counts[path] ?? 0) + 1;
  const outage = outages.get(path);
  if (outage && outage.left > 0) {
    outage.left -= 1;
    response.writeHead(outage.status, { 'content-type': 'text/plain', ...outage.headers });
    response.end(outage.body);
    return;
  }
  serve(request, response);
});

server.listen(env('PORT', 0), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const count = (what) => { counts[what] = (counts[what] ?? 0) + 1; };
  provider.on('grant.success', (ctx) => count(`grant ${ctx.oidc.params.grant_type}`));
  provider.on('grant.error', (ctx, error) => count(`grant error ${error.error}`));
  provider.on('grant.revoked', () => count('grant revoked'));
  provider.on('server_error', (ctx, error) => console.error(error));
  serve = provider.callback();
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
