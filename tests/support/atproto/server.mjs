// Bluesky's own data server (PDS) with its directory of identities (PLC), both on free loopback ports.
//
// Prints one line of JSON ({"pds": …, "plc": …}) when both serve, and ends when its standard input does. All data is
// in DATA_DIRECTORY, which the test owns. HOSTS (JSON) says at which addresses other names are. A line on standard input
// is a number of seconds by which the server's clock goes ahead from then on; it is answered with a line.

import { randomBytes } from 'node:crypto';
import dns from 'node:dns';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { PDS, envToCfg, envToSecrets } from '@atproto/pds';
import plcPackage from '@did-plc/server';

const { Database, PlcServer } = plcPackage;

const hosts = JSON.parse(process.env.HOSTS ?? '{}');
const { lookup } = dns;
const addressOf = (name) => hosts[name] ?? hosts[`*.${name.split('.').slice(1).join('.')}`] ?? name;
dns.lookup = (name, options, callback) => lookup(addressOf(name), options, callback);

let ahead = 0; // milliseconds
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(RealDate.now() + ahead);
    else super(...parts);
  }

  static now() {
    return RealDate.now() + ahead;
  }
};

const { now } = performance; // caches go by it
performance.now = () => now.call(performance) + ahead;

// The PDS must know its address before it listens.
const freePort = () => new Promise((resolve) => {
  const socket = createSocket().listen(0, '127.0.0.1', () => {
    const { port } = socket.address();
    socket.close(() => resolve(port));
  });
});
// Both would listen on every interface.
const onLoopback = (app) => {
  app.listen = (port) => createServer(app).listen(port, '127.0.0.1');
};

const data = process.env.DATA_DIRECTORY;
const plcPort = await freePort();
const plc = PlcServer.create({ db: Database.mock(), port: plcPort });
onLoopback(plc.app);
await plc.start();

const port = await freePort();
const env = {
  port,
  hostname: 'localhost', // the one name with which the issuer is http
  devMode: true,
  disableSsrfProtection: true,
  didPlcUrl: `http://localhost:${plcPort}`,
  serviceHandleDomains: ['.test'],
  inviteRequired: false,
  dataDirectory: data,
  blobstoreDiskLocation: join(data, 'blobs'),
  dpopSecret: randomBytes(32).toString('hex'),
  jwtSecret: randomBytes(16).toString('hex'),
  adminPassword: randomBytes(16).toString('hex'),
  plcRotationKeyK256PrivateKeyHex: randomBytes(32).toString('hex'),
};
const pds = await PDS.create(envToCfg(env), envToSecrets(env));
onLoopback(pds.app);
await pds.start();

process.stdout.write(`${JSON.stringify({ pds: `http://localhost:${port}`, plc: env.didPlcUrl })}\n`);
const commands = createInterface({ input: process.stdin });
commands.on('line', (line) => {
  ahead = Number(line) * 1000;
  process.stdout.write(`${line}\n`);
});
commands.on('close', () => process.exit(0));
