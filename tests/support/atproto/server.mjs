// Bluesky's own data server (PDS) with its directory of identities (PLC), both on free loopback ports.
//
// Prints one line of JSON ({"pds": …, "plc": …}) when both serve, and ends when its standard input does. All data is
// in DATA_DIRECTORY, which the test owns.

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { join } from 'node:path';

import { PDS, envToCfg, envToSecrets } from '@atproto/pds';
import plcPackage from '@did-plc/server';

const { Database, PlcServer } = plcPackage;

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
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
