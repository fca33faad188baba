/**
 * The mixes of the engine profile: what the frames of a worker hold. One row a mix; adding one is adding a row.
 *
 * Every answer is known before the frame is made (frames.ts keeps it in the tag). For that:
 * - Workers that do not contend own groups: worker w of n has the groups that leave w when divided by n. Frames of
 *   guest memory are anybody's, as in the yardstick.
 * - A group starts with its high slots full ("residents") and its low slots empty. H_ENTER takes the lowest empty
 *   slot, and what a unit inserts it removes, so the slot that H_ENTER will take is the lowest of the low ones.
 * - Workers that contend share four groups. There a worker does not know which slot H_ENTER takes: it asks for its
 *   own slots with H_EXACT, or (insert+remove) leaves as many slots empty as there are workers, and tries to remove
 *   its entry, by AVPN, from each of them. H_PTEG_FULL is then never right.
 */
import {
  FOUND_OR_NOT,
  H_BULK_REMOVE,
  H_CLEAR_MOD,
  H_CLEAR_REF,
  H_ENTER,
  H_PROTECT,
  H_READ,
  H_REMOVE,
  begin,
  put,
  type FrameWriter,
} from './frames.ts';
import { below, next, type Random } from './random.ts';

export const SLOTS = 8;
export const CONTENDED_GROUPS = 4;
/** Contending workers leave a slot each empty beside the residents of `mixed`. */
export const CONTENDED_PROCESSORS_MAX = 4;
const SUCCESS = 0;
const PTEG_FULL = -6;

/** Flags of the hcalls, as halves of a word. */
const EXACT_HIGH = 1 << 7;
const READ_4_HIGH = 1 << 5;
const AVPN_LOW = 0x80000000;
/** A bulk removal's tsh: a request, unconditional. */
const BULK_REQUEST_HIGH = 0x40000000;
const BULK_PAIRS = 4;

/** dword 0: L, VALID. dword 1: LP of a 64K page, memory coherent, PP 2. */
const V_LOW = 0x05;
const V_AVPN_LOW = 0xffffff80;
const V_AVPN_HIGH = 0x3fffffff;
const R_LOW = 0x1012;

/** Which worker writes, of how many, and where it may. */
export interface Scene {
  readonly writer: FrameWriter;
  readonly random: Random;
  readonly worker: number;
  readonly workers: number;
  readonly contended: boolean;
  /** The worker's groups: `groups` of them, from `firstGroup` on, `groupStep` apart. */
  readonly firstGroup: number;
  readonly groupStep: number;
  readonly groups: number;
  /** 64K frames of the guest's memory. */
  readonly frames: number;
  /** Slots of each group that are empty between units, from slot 0 on. */
  readonly lowSlots: number;
}

export interface Mix {
  readonly name: string;
  readonly summary: string;
  /** Residents of each group: the high slots. `workers`: 0 if they do not contend. */
  readonly residents: (workers: number) => number;
  /** Writes records that belong together and leave the table as it was. */
  readonly unit: (scene: Scene) => void;
}

const none = () => 0;
const half = () => SLOTS / 2;
const all = () => SLOTS;

export const MIXES: readonly Mix[] = [
  {
    name: 'insert+remove',
    summary: 'H_ENTER into a random group, H_REMOVE of that entry',
    residents: (workers) => (workers === 0 ? 0 : SLOTS - workers),
    unit: insertRemove,
  },
  {
    name: 'exact',
    summary: 'the same with H_EXACT, any slot',
    residents: none,
    unit: (scene) => enterAround(scene, () => {}),
  },
  {
    name: 'read',
    summary: 'H_READ of a taken entry',
    residents: half,
    unit: (scene) => read(scene, resident(scene), 0),
  },
  {
    name: 'read-4',
    summary: 'H_READ with H_READ_4 of four taken entries',
    residents: half,
    unit: (scene) => read(scene, resident(scene), READ_4_HIGH),
  },
  {
    name: 'protect',
    summary: 'H_PROTECT of a taken entry, to a random PP',
    residents: half,
    unit: (scene) => protect(scene, resident(scene)),
  },
  {
    name: 'bulk',
    summary: 'four H_ENTER with H_EXACT, one H_BULK_REMOVE of the four',
    residents: none,
    unit: bulk,
  },
  {
    name: 'full',
    summary: 'H_ENTER into a full group: H_PTEG_FULL',
    residents: all,
    unit: (scene) => enter(scene, 0, scene.random.state, group(scene) * SLOTS, PTEG_FULL),
  },
  {
    name: 'clear',
    summary: 'H_CLEAR_REF, H_CLEAR_MOD of taken entries',
    residents: half,
    unit: (scene) => {
      clear(scene, H_CLEAR_REF, resident(scene));
      clear(scene, H_CLEAR_MOD, resident(scene));
    },
  },
  {
    name: 'mixed',
    summary:
      'insert, one of protect, read, clear on the new entry, remove; one of four reads another',
    residents: half,
    unit: mixed,
  },
];

/** Fills the residents of the scene's groups, in as many calls of `nextRecord` as there are. */
export function fillResidents(scene: Scene, nextRecord: () => void): void {
  eachResident(scene, nextRecord, (ptex) => {
    enter(scene, EXACT_HIGH, next(scene.random), ptex, SUCCESS);
  });
}

export function removeResidents(scene: Scene, nextRecord: () => void): void {
  eachResident(scene, nextRecord, (ptex) => remove(scene, 0, 0, ptex, SUCCESS));
}

function eachResident(scene: Scene, nextRecord: () => void, write: (ptex: number) => void): void {
  for (let i = 0; i < scene.groups; i++) {
    for (let slot = scene.lowSlots; slot < SLOTS; slot++) {
      nextRecord();
      write((scene.firstGroup + i * scene.groupStep) * SLOTS + slot);
    }
  }
}

function insertRemove(scene: Scene): void {
  const avpn = next(scene.random);
  const first = group(scene) * SLOTS;
  enter(scene, 0, avpn, first + below(scene.random, SLOTS), SUCCESS);
  if (!scene.contended) return remove(scene, 0, 0, first, SUCCESS);
  for (let slot = 0; slot < scene.lowSlots; slot++) {
    remove(scene, AVPN_LOW, avpn, first + slot, FOUND_OR_NOT);
  }
}

/** An entry that only this worker uses, and what is done to it while it is there. */
function enterAround(scene: Scene, between: (ptex: number) => void): void {
  const ptex = group(scene) * SLOTS + ownSlot(scene);
  enter(scene, EXACT_HIGH, next(scene.random), ptex, SUCCESS);
  between(ptex);
  remove(scene, 0, 0, ptex, SUCCESS);
}

function bulk(scene: Scene): void {
  const first = scene.contended ? ownSlot(scene) : 0;
  const entries = Array.from({ length: BULK_PAIRS }, (_, i) =>
    scene.contended ? i * SLOTS + first : group(scene) * SLOTS + 2 * i + below(scene.random, 2),
  );
  for (const ptex of entries) enter(scene, EXACT_HIGH, next(scene.random), ptex, SUCCESS);
  begin(scene.writer, H_BULK_REMOVE, 2 * BULK_PAIRS, SUCCESS);
  for (const ptex of entries) {
    put(scene.writer, BULK_REQUEST_HIGH, ptex);
    put(scene.writer, 0, 0);
  }
}

function mixed(scene: Scene): void {
  enterAround(scene, (ptex) => {
    const kind = below(scene.random, 3);
    if (kind === 0) protect(scene, ptex);
    else if (kind === 1) read(scene, ptex, 0);
    else clear(scene, H_CLEAR_MOD, ptex);
  });
  if (below(scene.random, 4) === 0) read(scene, resident(scene), 0);
}

function group(scene: Scene): number {
  return scene.firstGroup + below(scene.random, scene.groups) * scene.groupStep;
}

function resident(scene: Scene): number {
  return group(scene) * SLOTS + scene.lowSlots + below(scene.random, SLOTS - scene.lowSlots);
}

/** A low slot that nobody else touches. */
function ownSlot(scene: Scene): number {
  if (!scene.contended) return below(scene.random, scene.lowSlots);
  const own = Math.floor(scene.lowSlots / scene.workers);
  return scene.worker + scene.workers * below(scene.random, own);
}

function enter(scene: Scene, flagsHigh: number, avpn: number, ptex: number, tag: number): void {
  const { writer, random } = scene;
  const frame = below(random, scene.frames);
  begin(writer, H_ENTER, 4, tag);
  put(writer, flagsHigh, 0);
  put(writer, 0, ptex);
  put(writer, avpn & V_AVPN_HIGH, (avpn & V_AVPN_LOW) | V_LOW);
  put(writer, frame >>> 16, (frame << 16) | R_LOW);
}

function remove(scene: Scene, flagsLow: number, avpn: number, ptex: number, tag: number): void {
  begin(scene.writer, H_REMOVE, 3, tag);
  put(scene.writer, 0, flagsLow);
  put(scene.writer, 0, ptex);
  put(scene.writer, avpn & V_AVPN_HIGH, avpn & V_AVPN_LOW);
}

function read(scene: Scene, ptex: number, flagsHigh: number): void {
  begin(scene.writer, H_READ, 2, SUCCESS);
  put(scene.writer, flagsHigh, 0);
  put(scene.writer, 0, ptex);
}

function protect(scene: Scene, ptex: number): void {
  begin(scene.writer, H_PROTECT, 3, SUCCESS);
  put(scene.writer, 0, 2 + below(scene.random, 2));
  put(scene.writer, 0, ptex);
  put(scene.writer, 0, 0);
}

function clear(scene: Scene, opcode: number, ptex: number): void {
  begin(scene.writer, opcode, 2, SUCCESS);
  put(scene.writer, 0, 0);
  put(scene.writer, 0, ptex);
}
