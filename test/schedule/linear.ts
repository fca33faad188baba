/**
 * Is what happened what some order of the calls, one at a time, would have given? The reference model performs the
 * orders; an order is given up at the first answer that differs.
 *
 * What is atomic is one entry's operation: a bulk removal is its removals, a read of four is four reads, the host's walk
 * along a chain is a step an entry (host-walks.ts). A call that had ended before another began stays before it. The last order that is left must give the same table too: entries
 * with their real words and R and C, chains (as sets: their order shows nowhere), host pages, dirt, counters.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { checkTable } from '../engine/invariants.ts';
import type { TestGuest } from '../engine/harness.ts';
import { createModel } from '../model/model.ts';
import type { Model } from '../model/model.ts';
import { isWalk, performWalkStep, walkSteps } from './host-walks.ts';
import type { WalkStep } from './host-walks.ts';
import type { Call, Program } from './programs.ts';
import { CONFIG, precedes } from './scene.ts';
import type { CallPlace, Scene } from './scene.ts';
import { WATCHED_SLOTS } from './stage.ts';
import type { Stage } from './stage.ts';

const TAKEN = 0x21n;
const VALID = 1n;
/** Of an answer of H_BLOCK_REMOVE. */
const BUSY = 4n;
const ABSENT = 0x20n;
const KEY = 0x3000_0000_0000_0e00n;
const FRAME = 0x0fff_ffff_ffff_f000n;

/** Calls that run an invalidation. */
const TAKES_AWAY: ReadonlySet<string> = new Set(['HOST_UNMAP', 'MEMSLOT_REMOVE']);

/** An atomic piece of a call, and what the engine answered to it. */
interface Unit {
  readonly place: CallPlace;
  readonly call: Call;
  readonly answer: string;
  /** The page that it did not find, though it was there. */
  readonly missed?: bigint;
}

/** A unit in an order, or a step of one that is a walk. */
interface Step {
  readonly unit: Unit;
  readonly walk?: WalkStep;
}

interface Answer {
  readonly status: number;
  readonly out: readonly bigint[];
}

function text(name: string, { status, out }: Answer): string {
  // dword 1 of an empty slot is undefined.
  const shown = name === 'H_READ' && status === 0 && (out[0]! & VALID) === 0n ? [out[0]!] : out;
  // One busy entry makes the whole block removal partial.
  const how = name === 'H_BLOCK_REMOVE' ? '' : status;
  return `${how} ${shown.map((word) => word.toString(16)).join(' ')}`;
}

/** H_ENTER may take any free slot of its group: one that it passed by was locked. So it is asked for the one it took. */
function placed(call: Call, out: readonly bigint[]): Call {
  if (call.name !== 'H_ENTER' || out.length === 0) return call;
  const [flags = 0n, , ...words] = call.args;
  return { name: call.name, args: [flags | FLAGS.H_EXACT, out[0]!, ...words] };
}

function unitsOf(place: CallPlace, call: Call, { status, out }: Answer): Unit[] {
  const pieces: (readonly [Call, readonly bigint[]])[] = [];
  if (call.name === 'H_BULK_REMOVE') {
    for (let i = 0; i < call.args.length; i += 2)
      pieces.push([{ name: call.name, args: call.args.slice(i, i + 2) }, out.slice(i, i + 2)]);
  } else if (call.name === 'H_READ' && (call.args[0]! & FLAGS.H_READ_4) !== 0n) {
    for (let i = 0; i < 4; i++)
      pieces.push([
        { name: call.name, args: [0n, call.args[1]! + BigInt(i)] },
        out.slice(2 * i, 2 * i + 2),
      ]);
  } else if (call.name === 'H_BLOCK_REMOVE') {
    // It only tries: an entry that is busy stays, and is no removal.
    for (const [i, word] of out.entries())
      if (((word >> 59n) & 7n) !== BUSY)
        pieces.push([{ name: call.name, args: [call.args[0]!, call.args[1 + i]!] }, [word]]);
  } else {
    pieces.push([placed(call, out), out]);
  }
  return pieces.map(([piece, words]) => ({
    place,
    call: piece,
    answer: text(piece.name, { status, out: words }),
  }));
}

/** Looked at when all is over, on engine and model alike. The last two change something. */
function probes(call: (name: string, args: readonly bigint[]) => Answer): string[] {
  const found: string[] = [];
  for (let ptex = 0n; ptex < WATCHED_SLOTS; ptex++) {
    const { out } = call('ENTRY_INSPECT', [ptex]);
    const [v = 0n, word = 0n, guest = 0n] = out;
    // An entry that is ABSENT for want of a page has no frame that counts.
    const real = (v & ABSENT) === 0n || (word & KEY) !== 0n ? word : word & ~FRAME;
    if ((v & TAKEN) !== 0n)
      found.push(`${ptex}: ${[v, real, guest].map((w) => w.toString(16)).join(' ')}`);
  }
  for (const [name, ...args] of [
    ['TABLE_HASH', 0n, 65536n, 0xcbf29ce484222325n, 0n],
    ['HOST_AGE', 1n << 16n],
    ['HOST_DIRTY', 0n, 64n],
  ] as const)
    found.push(`${name} ${text(name, call(name, args))}`);
  return found;
}

function chainsText(chains: ReadonlyMap<bigint, readonly number[]>): string {
  return [...chains]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([frame, chain]) => `${frame}: ${[...chain].sort((a, b) => a - b).join(' ')}`)
    .join('; ');
}

function stateOfGuest(guest: TestGuest): string {
  const chains = chainsText(checkTable(guest));
  const mmio = guest.words(guest.exports.MMIO_UPDATE!, 1)[0]!;
  const sequence = guest.words(guest.exports.INVALIDATE_SEQ!, 1)[0]!;
  return [`${mmio} ${sequence}`, chains, ...probes((name, args) => guest.call(name, args))].join(
    '\n',
  );
}

function stateOfModel(model: Model): string {
  const { mmioUpdate, invalidateSeq } = model.counters();
  const counters = `${mmioUpdate} ${invalidateSeq}`;
  const chains = chainsText(model.chains());
  return [counters, chains, ...probes((name, args) => model.call(name, args))].join('\n');
}

/** The model after a program's calls before, made as often as an order is tried. */
function modelBefore(program: Program): Model {
  const model = createModel({ ...CONFIG, isa300: false });
  for (const { name, args } of program.before) model.call(name, args);
  return model;
}

export interface Verdict {
  /** The order that explains it; undefined: there is none. */
  readonly order?: string;
  /** What was seen, for people. */
  readonly seen: string;
}

/** Throws when an invariant of the table does not hold. Changes the guest. */
export function judge(program: Program, scene: Scene, stage: Stage): Verdict {
  const units = program.threads.map((calls, thread) => {
    const answers = scene.answers(thread);
    return calls.flatMap((call, i) => {
      const { status, words } = answers[i]!;
      return unitsOf([thread, i], call, { status, out: words });
    });
  });
  const state = stateOfGuest(scene.guest);
  if (program.invariantsOnly === true) return { order: 'any', seen: state };
  const order = findOrder(program, stage, units, state, []);
  const answers = units
    .flat()
    .map(({ place, call, answer }) => `${place.join('.')} ${call.name}: ${answer}`);
  const seen = `${answers.join('\n')}\n${state}`;
  return order === undefined
    ? { seen }
    : { order: order.map(({ unit: { place } }) => place[0]).join(' '), seen };
}

/** Depth first over all orders that answers and precedence allow. */
function findOrder(
  program: Program,
  stage: Stage,
  units: readonly (readonly Unit[])[],
  state: string,
  done: readonly Step[],
): readonly Step[] | undefined {
  const places = units.map((_, thread) => unitsDone(done, thread));
  if (units.every((own, thread) => places[thread] === own.length)) {
    return stateOfModel(performed(program, done).model) === state ? done : undefined;
  }
  const left = units.flatMap((own, thread) => own.slice(places[thread]));
  for (const [thread, own] of units.entries()) {
    const next = own[places[thread]!];
    if (next === undefined || left.some((other) => mustPrecede(stage, other, next))) continue;
    for (const step of stepsOf(program, stage, next, done)) {
      const all = [...done, step];
      const { answer } = performed(program, all);
      if (answer !== undefined && text(next.call.name, answer) !== next.answer) continue;
      const order = findOrder(program, stage, units, state, all);
      if (order !== undefined) return order;
    }
  }
  return undefined;
}

function unitsDone(done: readonly Step[], thread: number): number {
  return done.filter(
    ({ unit, walk }) => unit.place[0] === thread && (walk === undefined || walk === 'end'),
  ).length;
}

/** In which ways a unit may go on. */
function stepsOf(program: Program, stage: Stage, unit: Unit, done: readonly Step[]): Step[] {
  if (!isWalk(unit.call))
    return [unit, ...withoutItsPage(program, stage, unit, done)].map((one) => ({ unit: one }));
  const own = done.flatMap((step) => (step.unit === unit ? step.walk! : []));
  const { model } = performed(program, done);
  return walkSteps(model, unit.call, own).map((walk) => ({ unit, walk }));
}

function mustPrecede(stage: Stage, first: Unit, second: Unit): boolean {
  return first.place[0] !== second.place[0] && precedes(stage, first.place, second.place);
}

/** The model after these steps, and what the last one answered; undefined: it is a walk that goes on. */
function performed(program: Program, done: readonly Step[]): { model: Model; answer?: Answer } {
  const model = modelBefore(program);
  const referenced = new Set<Unit>();
  for (const { unit, walk } of done.slice(0, -1)) {
    if (walk === undefined) performUnit(model, unit);
    else if (performWalkStep(model, unit.call, walk)) referenced.add(unit);
  }
  const last = done.at(-1);
  if (last === undefined) return { model };
  const { unit, walk } = last;
  if (walk === undefined) return { model, answer: performUnit(model, unit) };
  performWalkStep(model, unit.call, walk);
  if (walk !== 'end') return { model };
  return { model, answer: { status: 0, out: [referenced.has(unit) ? 1n : 0n] } };
}

function performUnit(model: Model, { call: { name, args }, missed }: Unit): Answer {
  if (missed !== undefined) model.call('HOST_SET_PTE', [missed, 0n]);
  const answer = model.call(name, args);
  if (missed !== undefined) model.call('HOST_SET_PTE', [missed, 3n]);
  return answer;
}

/**
 * There is one invalidation sequence for all pages: whoever enters or pages in while the host takes another page away may
 * find its own page missing, as in KVM HV; the guest sees no difference. The same if the host gives the page back after
 * the look and before the entry is there. So such a call may also have been one without its page.
 */
function withoutItsPage(program: Program, stage: Stage, unit: Unit, done: readonly Step[]): Unit[] {
  const { place, call } = unit;
  if (call.name !== 'H_ENTER' && call.name !== 'HOST_PAGE_FAULT') return [];
  const word =
    call.name === 'H_ENTER'
      ? call.args[3]!
      : performed(program, done).model.entry(Number(call.args[0])).guestRpte;
  const missed = word & FRAME & ~0xffffn;
  const overlapped = program.threads.some((calls, thread) =>
    calls.some(
      ({ name, args }, i) =>
        (TAKES_AWAY.has(name) || (name === 'HOST_SET_PTE' && args[0] === missed)) &&
        overlap(stage, place, [thread, i]),
    ),
  );
  if (!overlapped) return [];
  const changes = [...program.before, ...done.map(({ unit: { call } }) => call)].filter(
    ({ name, args }) => (name === 'HOST_UNMAP' || name === 'HOST_SET_PTE') && args[0] === missed,
  );
  return changes.at(-1)?.name === 'HOST_UNMAP' ? [] : [{ ...unit, missed }];
}

function overlap(stage: Stage, a: CallPlace, b: CallPlace): boolean {
  return a[0] !== b[0] && !precedes(stage, a, b) && !precedes(stage, b, a);
}
