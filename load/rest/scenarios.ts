/**
 * What each scenario of the REST profile sends, and how it is known what must come back: every request of every
 * connection is made once beforehand, its statuses are looked at, and the same bytes must come ever after.
 */
import { WrongAnswer, type Exchange } from './drive.ts';

/** Large enough for a group of its own for each connection. */
const GUEST = { order: 18, ramBytes: 2 ** 30 };
const SLOTS_PER_GROUP = 8;
const PTEH = '0x400ea1b217000015';
const AVPN = '0x400ea1b217000000';
const PTEL = '0x1190';
const BATCH_HCALLS = 100;

interface Request {
  readonly path: string;
  readonly body: object;
}

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  readonly hcallsPerRequest: number;
  /** Made once, before the others. */
  readonly before: (ptex: string) => readonly Request[];
  /** Sent over and over by one connection, in this order. They leave the table as they found it. */
  readonly requests: (ptex: string) => readonly Request[];
}

const enter = (ptex: string) => ({ flags: ['H_EXACT'], ptex, pteh: PTEH, ptel: PTEL });
const remove = (ptex: string) => ({ flags: ['H_AVPN'], ptex, avpn: AVPN });

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'enter-remove',
    summary: 'H_ENTER and H_REMOVE in turns, one hcall a request',
    hcallsPerRequest: 1,
    before: () => [],
    requests: (ptex) => [
      { path: '/hcalls/H_ENTER', body: enter(ptex) },
      { path: '/hcalls/H_REMOVE', body: remove(ptex) },
    ],
  },
  {
    name: 'read',
    summary: 'H_READ of one entry, one hcall a request',
    hcallsPerRequest: 1,
    before: (ptex) => [{ path: '/hcalls/H_ENTER', body: enter(ptex) }],
    requests: (ptex) => [{ path: '/hcalls/H_READ', body: { ptex } }],
  },
  {
    name: 'batch-100',
    summary: `a batch of ${BATCH_HCALLS}: H_ENTER and H_REMOVE in turns`,
    hcallsPerRequest: BATCH_HCALLS,
    before: () => [],
    requests: (ptex) => [
      {
        path: '/hcalls',
        body: {
          calls: Array.from({ length: BATCH_HCALLS / 2 }, () => [
            { hcall: 'H_ENTER', ...enter(ptex) },
            { hcall: 'H_REMOVE', ...remove(ptex) },
          ]).flat(),
        },
      },
    ],
  },
];

/** A guest of its own for each setting, so that none meets what another one left. */
export interface Stage {
  readonly scenario: Scenario;
  readonly connections: number;
  readonly daemon: string;
  /** Address of the guest. */
  readonly guest: string;
}

export async function openStage(
  scenario: Scenario,
  connections: number,
  daemon: string,
): Promise<Stage> {
  const guest = `/v1/guests/${scenario.name}-${connections}`;
  await send(daemon, 'PUT', guest, JSON.stringify(GUEST));
  return { scenario, connections, daemon, guest };
}

/** Makes each request of each connection once: what they will be, by connection. */
export async function rehearse(stage: Stage): Promise<Exchange[][]> {
  const { scenario, connections, daemon, guest } = stage;
  // The last measurement ended in the middle of pairs.
  await rehearseOne(daemon, guest, { path: '/hcalls/H_CLEAR_HPT', body: {} });
  const exchanges: Exchange[][] = [];
  for (let connection = 0; connection < connections; connection++) {
    const ptex = `0x${(connection * SLOTS_PER_GROUP).toString(16)}`;
    for (const request of scenario.before(ptex)) await rehearseOne(daemon, guest, request);
    const mine: Exchange[] = [];
    for (const request of scenario.requests(ptex)) {
      mine.push(await rehearseOne(daemon, guest, request));
    }
    exchanges.push(mine);
  }
  return exchanges;
}

async function rehearseOne(daemon: string, guest: string, request: Request): Promise<Exchange> {
  const [path, body] = [guest + request.path, JSON.stringify(request.body)];
  const answer = await send(daemon, 'POST', path, body);
  const { answers, ...single } = JSON.parse(answer) as { answers?: { status: string }[] };
  const statuses = (answers ?? [single as { status: string }]).map(({ status }) => status);
  if (statuses.some((status) => status !== 'H_SUCCESS')) {
    throw new WrongAnswer(`${path} with ${body} is answered ${answer}`);
  }
  return { path, body, answer };
}

/** The echo's part: it is sent what the daemon answers, so that both answer the same bytes. */
export function echoOf(exchanges: readonly (readonly Exchange[])[]): Exchange[][] {
  return exchanges.map((connection) =>
    connection.map(({ answer }) => ({ path: '/', body: answer, answer })),
  );
}

async function send(daemon: string, method: string, path: string, body?: string): Promise<string> {
  const headers: Record<string, string> =
    body === undefined ? {} : { 'content-type': 'application/json' };
  const reply = await fetch(daemon + path, { method, headers, body: body ?? null });
  const text = await reply.text();
  if (!reply.ok) throw new WrongAnswer(`${method} ${path} is refused: ${text}`);
  return text;
}
