/**
 * Which pieces of a guest's memory changed since when: what a snapshot has to copy.
 *
 * A piece is 64 KiB of slot data or tables. Whoever changes one notes it first, with the guest's epoch. A snapshot begins
 * an epoch while nothing is executed, copies while the guest runs on, and copies once more what carries that epoch.
 * A piece that was never noted is zero, so the image of an untouched table is small and soon made.
 *
 * An entry's lock stands for its two words and, at the same place of the reverse map, its guest_rpte; so a piece of the
 * reverse map counts as changed with its piece of the table, too. Only links to neighbours are noted by themselves.
 *
 * RACE: plain loads and stores. The epoch changes only between two records, and everybody writes the same.
 */
import { KEEP_EPOCH, PIECES, PIECE_SHIFT } from './memory-map';

/** About to change the piece that has this address. */
@inline
export function noteChange(address: usize): void {
  const piece = address >> <usize>PIECE_SHIFT;
  const epoch = load<u8>(KEEP_EPOCH);
  if (load<u8>(piece, PIECES) != epoch) store<u8>(piece, epoch, PIECES);
}

/** About to change [from, from + bytes). */
export function noteChanges(from: usize, bytes: usize): void {
  if (bytes == 0) return;
  const first = from >> <usize>PIECE_SHIFT;
  const last = (from + bytes - 1) >> <usize>PIECE_SHIFT;
  memory.fill(PIECES + first, load<u8>(KEEP_EPOCH), last - first + 1);
}
