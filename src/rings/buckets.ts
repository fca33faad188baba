/** Histograms by powers of two: bucket i counts values of at most 2^i, the last those that are greater; behind them the sum. Pure. */

export function noteIn(buckets: Float64Array, value: number): void {
  const last = buckets.length - 1;
  const bucket = value <= 1 ? 0 : 32 - Math.clz32(Math.ceil(value) - 1);
  buckets[Math.min(bucket, last - 1)]! += 1;
  buckets[last]! += value;
}
