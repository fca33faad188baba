/**
 * From the items of many streams' completion rings to one order: that of their stamps. Items are seen ring by ring, so one
 * may come before its predecessor; it waits until that has come. Stamps are dense, so nothing waits for ever. Pure.
 */
const STAMP_MASK = 0xff_ffff;
const HALF = 0x80_0000;

export interface Merge<Item> {
  /** Of an item with a stamp from before the start nothing is seen. */
  add(stamp: number, item: Item): void;
  /** Items that wait for one before them. */
  waiting(): number;
}

export function openMerge<Item>(firstStamp: number, onItem: (item: Item) => void): Merge<Item> {
  const waiting = new Map<number, Item>();
  let next = firstStamp & STAMP_MASK;
  return {
    add(stamp, item) {
      if (((stamp - next) & STAMP_MASK) >= HALF) return;
      waiting.set(stamp, item);
      for (;;) {
        const found = waiting.get(next);
        if (found === undefined) return;
        waiting.delete(next);
        next = (next + 1) & STAMP_MASK;
        onItem(found);
      }
    },
    waiting: () => waiting.size,
  };
}
