/**
 * The other side of the stream profile, as a process of its own (child.ts starts it): `hptd`, a daemon, or `echo`, a
 * bare ws server that sends back what it gets. Both listen on a free port of 127.0.0.1 and say what they use.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { CREDIT_BYTES, FRAME_BYTES_MAX, FRAME_OVERHEAD_BYTES } from '../../schemas/limits.ts';
import { STREAM_PROTOCOL, type BinaryHello } from '../../schemas/stream.ts';
import { serve } from '../../src/main.ts';
import { serveOptions } from '../../src/operations/config.ts';
import type { FromServer, ToServer } from './messages.ts';

const LISTEN = { host: '127.0.0.1', port: 0 };

async function serveHptd(processors: number, options: string): Promise<string> {
  const listen = `${LISTEN.host}:${LISTEN.port}`;
  const given = { listen, processors, logLevel: 'warn', ...JSON.parse(options) };
  return (await serve(serveOptions.parse(given))).url;
}

/** With a daemon's hello, so that the same client talks to both. */
async function serveEcho(): Promise<string> {
  const server = new WebSocketServer({
    ...LISTEN,
    perMessageDeflate: false,
    maxPayload: FRAME_BYTES_MAX,
    handleProtocols: () => STREAM_PROTOCOL,
  });
  const hello: BinaryHello = {
    type: 'hello',
    protocol: STREAM_PROTOCOL,
    version: 'echo',
    guest: 'echo',
    role: 'guest',
    processor: 0,
    order: 0,
    limits: {
      frameBytes: FRAME_BYTES_MAX,
      creditBytes: CREDIT_BYTES,
      frameOverheadBytes: FRAME_OVERHEAD_BYTES,
    },
  };
  server.on('connection', (socket) => {
    socket.send(JSON.stringify(hello));
    socket.on('message', (data: Buffer) => socket.send(data));
  });
  await once(server, 'listening');
  return `http://${LISTEN.host}:${(server.address() as AddressInfo).port}`;
}

function tell(message: FromServer): void {
  process.send!(message);
}

process.on('message', (message: ToServer) => {
  if (message.kind === 'stop') process.exit(0);
  const { user, system } = process.cpuUsage();
  tell({
    kind: 'usage',
    cpuMicros: user + system,
    atMillis: performance.now(),
    rssBytes: process.memoryUsage.rss(),
  });
});
// Whoever measured is gone.
process.on('disconnect', () => process.exit(1));

const [kind, processors = '1', options = '{}'] = process.argv.slice(2);
tell({
  kind: 'ready',
  url: kind === 'hptd' ? await serveHptd(Number(processors), options) : await serveEcho(),
});
