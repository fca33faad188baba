/** Daemons with a state directory, for tests: in this process, one after the other. */
import type { TestContext } from 'node:test';
import { connectRest } from '../../src/client/rest.ts';
import type { Json, Rest } from '../../src/client/rest.ts';
import { serve } from '../../src/main.ts';
import type { Daemon } from '../../src/main.ts';
import { serveOptions } from '../../src/operations/config.ts';

export interface StateDaemon extends Rest {
  readonly daemon: Daemon;
  /** The whole answer of any address, refusals too. */
  ask(method: string, path: string, body?: object): Promise<{ status: number; json: Json }>;
}

export async function openDaemon(
  context: Pick<TestContext, 'after'>,
  stateDir: string,
  changes: Json = {},
): Promise<StateDaemon> {
  const daemon = await serve(
    serveOptions.parse({
      listen: '127.0.0.1:0',
      processors: 2,
      logLevel: 'silent',
      stateDir,
      journal: 'none',
      ...changes,
    }),
  );
  context.after(() => daemon.close().catch(() => {}));
  return {
    ...connectRest(daemon.url),
    daemon,
    async ask(method, path, body) {
      const response = await fetch(`${daemon.url}${path}`, {
        method,
        ...(body === undefined
          ? {}
          : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      return { status: response.status, json: (isJson ? JSON.parse(text) : { text }) as Json };
    },
  };
}
