/** Counts which way the branches of an engine go, and writes into it which way they mostly go: see ../engine-hints.ts. */
import binaryen from 'binaryen';
import { branchesOf, parseModule, printModule, type Expression, type Hint } from './branches.ts';
import { train } from './training.ts';

/** What is hardly ever executed may go as it likes. */
const TIMES_MIN = 1000;
const ONE_WAY_MIN = 0.9;

interface Counts {
  readonly taken: number[];
  readonly notTaken: number[];
}

function textOf(bytes: Uint8Array): string {
  const module = binaryen.readBinary(bytes);
  module.setFeatures(binaryen.Features.All);
  return module.emitText();
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  return new Uint8Array(module.emitBinary());
}

async function countBranches(text: string): Promise<Counts> {
  const counting = parseModule(text);
  const branches = branchesOf(counting);
  for (const [i, { list, condition }] of branches.entries())
    list[condition] = ['call', '$branch', ['i32.const', `${i}`], list[condition]!];
  // Imports stand before functions.
  const type: Expression = ['func', '$branch', ['param', 'i32', 'i32'], ['result', 'i32']];
  const firstImport = counting.findIndex((part) => part[0] === 'import');
  counting.splice(firstImport, 0, ['import', '"hints"', '"branch"', type]);
  const taken = branches.map(() => 0);
  const notTaken = branches.map(() => 0);
  train(await WebAssembly.compile(bytesOf(printModule(counting))), (branch, condition) => {
    (condition !== 0 ? taken : notTaken)[branch]!++;
    return condition;
  });
  return { taken, notTaken };
}

function hintFor(taken: number, notTaken: number): Hint | undefined {
  const times = taken + notTaken;
  if (times < TIMES_MIN) return undefined;
  if (taken >= ONE_WAY_MIN * times) return 'likely';
  return notTaken >= ONE_WAY_MIN * times ? 'unlikely' : undefined;
}

/** The module with hints; any that it had are forgotten. */
export async function giveHints(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const text = textOf(bytes);
  const { taken, notTaken } = await countBranches(text);
  const module = parseModule(text);
  const hints = new Map<Expression, Hint>();
  for (const [i, { list }] of branchesOf(module).entries()) {
    const hint = hintFor(taken[i]!, notTaken[i]!);
    if (hint !== undefined) hints.set(list, hint);
  }
  // Frames that trained nothing would build an engine that is right and slow, and nobody would notice.
  if (hints.size === 0) throw new Error('training met no branch that mostly goes one way');
  return bytesOf(printModule(module, hints));
}
