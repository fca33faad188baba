/** Bytes that grow at their end, and words written into them without a BigInt each: a trace has millions. */

export interface Sink {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;
  length: number;
}

export function openSink(capacity = 64 * 1024): Sink {
  const bytes = new Uint8Array(capacity);
  return { bytes, view: new DataView(bytes.buffer), length: 0 };
}

/** Makes room for `count` more bytes and returns where they start. `view` is another one afterwards. */
export function extend(sink: Sink, count: number): number {
  const start = sink.length;
  sink.length += count;
  if (sink.length > sink.bytes.length) {
    const grown = new Uint8Array(Math.max(sink.length, 2 * sink.bytes.length));
    grown.set(sink.bytes.subarray(0, start));
    sink.bytes = grown;
    sink.view = new DataView(grown.buffer);
  }
  return start;
}

/** Writes `0x…` (1 to 16 digits, checked by the caller) as a little-endian word. */
export function writeHexWord(view: DataView, at: number, text: string): void {
  const low = text.length - 8;
  if (low <= 2) {
    view.setUint32(at, Number.parseInt(text, 16), true);
    view.setUint32(at + 4, 0, true);
  } else {
    view.setUint32(at, Number.parseInt(text.slice(low), 16), true);
    view.setUint32(at + 4, Number.parseInt(text.slice(2, low), 16), true);
  }
}

/** Writes an integer, sign-extended to a word. */
export function writeIntegerWord(view: DataView, at: number, value: number): void {
  view.setBigInt64(at, BigInt(value), true);
}
