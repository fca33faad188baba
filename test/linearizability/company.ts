/**
 * What went on beside a call: whose locks may have been in its way, and whether the host had a page.
 *
 * Both follow from the stamps alone, before any order is searched. They are what may have been, no less: an answer that
 * they rule out cannot be right.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { statusOf } from './history.ts';
import type { History } from './history.ts';
import { ALL_THERE, FRAMES, PAGE_AWAY, PAGE_THERE } from './slot-states.ts';

/** The host says that a page is there, or takes it away. */
interface Change {
  readonly call: number;
  readonly page: number;
}

export interface Company {
  readonly history: History;
  /** By thread: its calls are those from here up to the next thread's. */
  readonly firstCalls: readonly number[];
  /** By frame, in their order: only one thread does the host's work. */
  readonly changes: readonly (readonly Change[])[];
  readonly unmaps: readonly number[];
  /** By frame: its HOST_AGEs, in their order. */
  readonly ages: readonly (readonly number[])[];
  /** By request: which frame an H_ENTER is for; -1: none. */
  readonly frames: Int8Array;
}

/** The address in dword 1, for pages of up to 64 KiB. */
const FRAME = 0x0fff_ffff_ffff_0000n;

export function openCompany(history: History): Company {
  const { threads, thread, requests, request } = history;
  const firstCalls = Array.from({ length: threads + 1 }, (_, of) =>
    lowest(thread.length, (call) => thread[call]! >= of),
  );
  const changes: Change[][] = FRAMES.map(() => []);
  const unmaps: number[] = [];
  const ages: number[][] = FRAMES.map(() => []);
  for (let call = 0; call < request.length; call++) {
    const { name, args } = requests[request[call]!]!;
    if (name === 'HOST_AGE') ages[FRAMES.indexOf(args[0]!)]!.push(call);
    if (name !== 'HOST_UNMAP' && name !== 'HOST_SET_PTE') continue;
    const page = name === 'HOST_UNMAP' ? PAGE_AWAY : PAGE_THERE;
    changes[FRAMES.indexOf(args[0]!)]!.push({ call, page });
    if (name === 'HOST_UNMAP') unmaps.push(call);
  }
  const hosts = new Set(changes.flat().map(({ call }) => thread[call]));
  if (hosts.size > 1) throw new Error('two threads change host pages: one at a time may');
  const frames = Int8Array.from(requests, ({ name, args }) =>
    name === 'H_ENTER' ? FRAMES.indexOf(args[3]! & FRAME) : -1,
  );
  return { history, firstCalls, changes, unmaps, ages, frames };
}

/** The lowest number below `end` of which it holds, if it holds of all above it. */
function lowest(end: number, holds: (number: number) => boolean): number {
  let [low, high] = [0, end];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

const overlap = ({ invoked, responded }: History, a: number, b: number): boolean =>
  invoked[a]! < responded[b]! && responded[a]! > invoked[b]!;

/** Did a HOST_AGE of that frame run at the same time? */
export function wasAgedDuring({ history, ages }: Company, call: number, frame: number): boolean {
  const { invoked, responded } = history;
  const ofFrame = ages[frame]!;
  const near = lowest(ofFrame.length, (i) => responded[ofFrame[i]!]! > invoked[call]!);
  return near < ofFrame.length && overlap(history, ofFrame[near]!, call);
}

/** Did a call of another thread run at the same time that takes the lock of that entry? */
export function maySlotBeLocked(company: Company, call: number, ptex: number): boolean {
  const { history, firstCalls } = company;
  const { invoked, responded, thread } = history;
  for (let other = 0; other < history.threads; other++) {
    if (other === thread[call]) continue;
    const [from, end] = [firstCalls[other]!, firstCalls[other + 1]!];
    let at = from + lowest(end - from, (i) => responded[from + i]! > invoked[call]!);
    for (; at < end && invoked[at]! < responded[call]!; at++) {
      if (locks(history, at, ptex)) return true;
    }
  }
  return false;
}

const PTEX_FIELD = (1n << 56n) - 1n;

/** Does this call lock that entry, or may it? */
function locks(history: History, call: number, ptex: number): boolean {
  const { name, args } = history.requests[history.request[call]!]!;
  const isIt = (word: bigint | undefined): boolean => Number((word ?? 0n) & PTEX_FIELD) === ptex;
  const ofSame = (word: bigint | undefined, count: number): boolean =>
    Math.floor(Number(word ?? 0n) / count) === Math.floor(ptex / count);
  switch (name) {
    case 'H_ENTER': {
      const status = statusOf(history, call);
      if (status !== STATUSES.H_SUCCESS && status !== STATUSES.H_PTEG_FULL) return false;
      return (args[0]! & FLAGS.H_EXACT) !== 0n ? isIt(args[1]) : ofSame(args[1], 8);
    }
    case 'H_READ':
      return (args[0]! & FLAGS.H_READ_4) === 0n ? isIt(args[1]) : ofSame(args[1], 4);
    case 'H_REMOVE':
    case 'H_PROTECT':
    case 'H_CLEAR_REF':
    case 'H_CLEAR_MOD':
      return isIt(args[1]);
    case 'SET_RC':
    case 'HOST_PAGE_FAULT':
      return isIt(args[0]);
    case 'H_BULK_REMOVE':
      return args.some((word, i) => i % 2 === 0 && isIt(word));
    case 'H_BLOCK_REMOVE':
      return args.some((word, i) => i > 0 && isIt(word));
    // Of what goes along a chain or a whole table, it depends on what is there.
    case 'H_CLEAR_HPT':
    case 'HOST_UNMAP':
    case 'HOST_AGE':
    case 'HOST_DIRTY':
      return true;
    default:
      return false;
  }
}

/**
 * Whether the host had each frame's page while the call ran, in the bits of slot-states.ts. A page counts as away too
 * while any page is taken away: who looked at a page asks whether an invalidation ran since, and not whose.
 */
export function pagesDuring(company: Company, call: number): number {
  if (company.unmaps.length === 0) return ALL_THERE;
  const { history, changes, unmaps } = company;
  const { invoked, responded } = history;
  const near = lowest(unmaps.length, (i) => responded[unmaps[i]!]! > invoked[call]!);
  const away = near < unmaps.length && overlap(history, unmaps[near]!, call) ? PAGE_AWAY : 0;
  let pages = 0;
  for (const [frame, ofFrame] of changes.entries()) {
    let at = lowest(ofFrame.length, (i) => responded[ofFrame[i]!.call]! > invoked[call]!);
    let may = away | (at === 0 ? PAGE_THERE : ofFrame[at - 1]!.page);
    for (; at < ofFrame.length && overlap(history, ofFrame[at]!.call, call); at++) {
      may |= ofFrame[at]!.page;
    }
    pages |= may << (2 * frame);
  }
  return pages;
}
