/** What the resources share: one record for a guest, and states in which its shape stays as it is. Main thread. */
import { operationByName } from '../../schemas/operations.ts';
import { problem } from '../../schemas/problems.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import type { Guest } from '../guests/types.ts';

/** Runs one operation and gives its answer. */
export async function runOperation(
  guest: Guest,
  name: string,
  ...words: bigint[]
): Promise<AnswerRecord> {
  const [answer] = await guest.run([{ opcode: operationByName(name)!.opcode, tag: 0, words }]);
  return answer!;
}

/** Throws guest-state while a copy of the guest relies on its slots and its table's order. */
export function mayChangeShape(guest: Guest): void {
  if (guest.status().state !== 'migrating') return;
  throw problem(
    'guest-state',
    `${guest.name} is migrating: its memory slots and the order of its table stay as they are; it may become: running or paused`,
  );
}
