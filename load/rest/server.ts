/**
 * A server process of the REST profile: a whole daemon, or a bare Fastify that sends a JSON body back, without zod,
 * without anything. `server.ts hptd|echo PROCESSORS`, forked by servers.ts; it ends when its parent does.
 */
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { serve } from '../../src/main.ts';
import { serveOptions } from '../../src/operations/config.ts';
import type { Ready, ServerKind, Usage } from './messages.ts';

const [kind, processors] = process.argv.slice(2) as [ServerKind, string];

async function startDaemon(): Promise<string> {
  const options = { listen: '127.0.0.1:0', processors, logLevel: 'warn' };
  return (await serve(serveOptions.parse(options))).url;
}

async function startEcho(): Promise<string> {
  const app = Fastify();
  app.post('/', async ({ body }) => body);
  await app.listen({ host: '127.0.0.1', port: 0 });
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  const thread = process.threadCpuUsage();
  return {
    atMicros: performance.now() * 1000,
    cpuMicros: user + system,
    mainThreadMicros: thread.user + thread.system,
  };
}

process.once('disconnect', () => process.exit());
const ready: Ready = { url: await (kind === 'hptd' ? startDaemon() : startEcho()) };
process.on('message', () => process.send!(usage()));
process.send!(ready);
