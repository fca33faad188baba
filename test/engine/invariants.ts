/**
 * What must be true of a table whenever nobody is in an hcall, read straight from the guest's memory: no lock left
 * taken, every VALID entry on exactly its frame's chain, every chain whole.
 */
import assert from 'node:assert/strict';
import { pageSizeOf, fromIsa300 } from '../../schemas/hpte.ts';
import type { TableView } from '../failure/live-guest.ts';
import { ABSENT, HVLOCK, V } from './pages.ts';

/** In the upper half of an rmap word: a chain is there, and its lock is taken. */
const RMAP_PRESENT = 1;
const RMAP_LOCK = 1 << 11;
const KEY = 0x3000_0000_0000_0e00n;
const RPN = 0x0fff_ffff_ffff_f000n;

/** Chains by guest frame number, the head first. Throws on anything that must not be. */
export function checkTable(guest: TableView): Map<bigint, number[]> {
  assert.equal(guest.word32(guest.exports.GATE!), 0, 'the gate is left closed');
  assert.equal(guest.word32(guest.exports.RESIZE_LOCK!), 0, 'the resize lock is left taken');
  const chains = readChains(guest);
  const chained = new Map<number, bigint>();
  for (const [gfn, chain] of chains) {
    for (const ptex of chain) {
      assert.ok(!chained.has(ptex), `entry ${ptex} is in the chains of two frames`);
      chained.set(ptex, gfn);
    }
  }
  checkEntries(guest, chained);
  return chains;
}

function checkEntries(guest: TableView, chained: ReadonlyMap<number, bigint>): void {
  const order = guest.order();
  let valid = 0;
  if (order !== 0) {
    const table = guest.word32(guest.exports.TABLE_BASE!);
    const halves = new Uint32Array(guest.memory.buffer, table, 2 ** (order - 2));
    for (let ptex = 0, at = 0; at < halves.length; ptex++, at += 4) {
      const v = halves[at]!;
      if (v === 0 && halves[at + 1] === 0) continue;
      assert.equal(v & Number(HVLOCK), 0, `entry ${ptex} is left locked`);
      if ((v & Number(V)) !== 0) {
        valid++;
        checkValid(guest, ptex, chained.get(ptex));
      } else if ((v & Number(ABSENT)) !== 0) {
        checkAbsent(guest, ptex);
      }
    }
  }
  assert.equal(valid, chained.size, 'something is chained that is not VALID');
}

/** Where the guest's view says the entry points. */
function pageOf(guest: TableView, ptex: number): bigint {
  const [v = 0n, r = 0n] = guest.entry(ptex);
  const dword0 = guest.config.isa300 ? fromIsa300(v, r).dword0 : v;
  const view = guest.revmap(ptex)[0]!;
  const actual = pageSizeOf(dword0, view)?.actualShift ?? 12;
  return ((view & RPN) >> BigInt(actual)) << BigInt(actual);
}

function checkValid(guest: TableView, ptex: number, gfn: bigint | undefined): void {
  assert.equal(guest.entry(ptex)[0]! & ABSENT, 0n, `entry ${ptex} is VALID and ABSENT`);
  const wanted = pageOf(guest, ptex) / BigInt(guest.config.hostPageBytes);
  assert.equal(gfn, wanted, `entry ${ptex} is VALID: its chain`);
}

/** The real key of an ABSENT entry tells MMIO (all ones) from a page that is away (zero). */
function checkAbsent(guest: TableView, ptex: number): void {
  const key = guest.entry(ptex)[1]! & KEY;
  const gpa = pageOf(guest, ptex);
  const slots = guest.config.memslots ?? [{ base: 0n, bytes: guest.config.ramBytes ?? 0 }];
  const memory = slots.some(({ base, bytes }) => gpa >= base && gpa < base + BigInt(bytes));
  // An entry keeps what it was entered as when a slot comes or goes.
  if (guest.word32(guest.exports.SLOT_CHANGES!) !== 0) return assert.ok(key === 0n || key === KEY);
  assert.equal(key, memory ? 0n : KEY, `entry ${ptex} is ABSENT: its key`);
}

function readChains(guest: TableView): Map<bigint, number[]> {
  const { MEMSLOTS, MEMSLOT_BYTES, MEMSLOT_COUNT, SLOT_BASE, SLOT_LENGTH, SLOT_RMAP } =
    guest.exports;
  const chains = new Map<bigint, number[]>();
  const page = BigInt(guest.config.hostPageBytes);
  for (let i = 0; i < guest.word32(MEMSLOT_COUNT!); i++) {
    const slot = MEMSLOTS! + MEMSLOT_BYTES! * i;
    const first = guest.words(slot + SLOT_BASE!, 1)[0]! / page;
    const frames = Number(guest.words(slot + SLOT_LENGTH!, 1)[0]! / page);
    const rmap = new Uint32Array(guest.memory.buffer, guest.word32(slot + SLOT_RMAP!), frames * 2);
    for (let frame = 0; frame < frames; frame++) {
      const upper = rmap[frame * 2 + 1]!;
      assert.equal(upper & RMAP_LOCK, 0, `the chain of frame ${frame} of slot ${i} is left locked`);
      if ((upper & RMAP_PRESENT) === 0) continue;
      chains.set(first + BigInt(frame), followChain(guest, rmap[frame * 2]!));
    }
  }
  return chains;
}

/** Forward around the ring; each neighbour must point back. */
function followChain(guest: TableView, head: number): number[] {
  const entries = guest.order() === 0 ? 0 : 2 ** (guest.order() - 4);
  const chain: number[] = [];
  let ptex = head;
  do {
    assert.ok(ptex < entries, `a chain leads out of the table, to ${ptex}`);
    assert.ok(chain.length <= entries, `the chain from ${head} does not close`);
    chain.push(ptex);
    const next = Number(guest.revmap(ptex)[1]! & 0xffff_ffffn);
    assert.equal(
      Number(guest.revmap(next)[1]! >> 32n),
      ptex,
      `${next} does not point back to ${ptex}`,
    );
    ptex = next;
  } while (ptex !== head);
  return chain;
}
