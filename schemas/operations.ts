/**
 * The one table of what a stream can ask for: the hcalls a guest makes, and the control records with
 * which its host (an emulator, a test rig, a replay) tells hptd what happened to the table without an hcall.
 *
 * It drives validation, the CLI's help, documents and generated tests. The engine keeps opcodes and word
 * counts of its own (AssemblyScript cannot import this file); test/engine/dispatch.test.ts compares the two.
 *
 * SPEC: PAPR, chapter "Logical Partitioning Option"; opcodes and register use as there. Control records are
 * hptd's own: their opcodes have bit 15 set, which no PAPR hcall has.
 */
import { CONTROLS } from './controls.ts';
import { HCALLS } from './hcalls.ts';
import type { Operation } from './operation.ts';

export { CONTROLS, HCALLS };
export type { Argument, Operation } from './operation.ts';

export const OPERATIONS: readonly Operation[] = [...HCALLS, ...CONTROLS];

const BY_NAME = new Map(OPERATIONS.map((row) => [row.name, row]));
const BY_OPCODE = new Map(OPERATIONS.map((row) => [row.opcode, row]));

export function operationByName(name: string): Operation | undefined {
  return BY_NAME.get(name);
}

export function operationByOpcode(opcode: number): Operation | undefined {
  return BY_OPCODE.get(opcode);
}
