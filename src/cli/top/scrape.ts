/** One look at a daemon's /metrics, as numbers: what two looks have between them is a rate. */

export interface AnswerCount {
  readonly hcall: string;
  readonly status: string;
  readonly count: number;
}

export interface GuestLook {
  readonly answers: readonly AnswerCount[];
  readonly streams: number;
  readonly submittedBytes: number;
  readonly answerBytes: number;
  /** Summed over the processors. */
  readonly lockWaits: number;
  readonly chainWaits: number;
  readonly secondPasses: number;
  readonly tlbies: number;
}

export interface Look {
  readonly atMillis: number;
  readonly guests: ReadonlyMap<string, GuestLook>;
  readonly processors: number;
  readonly processorDeaths: number;
  readonly residentBytes: number;
  readonly cpuSeconds: number;
}

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Names of guests hold nothing that would have to be escaped. */
function seriesOf(text: string): Series[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labelText = '', value = ''] =
        /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const labels = Object.fromEntries(
        [...labelText.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key, word]) => [key!, word!]),
      );
      return { name, labels, value: Number(value) };
    });
}

export function lookAt(text: string, atMillis: number): Look {
  const series = seriesOf(text);
  const of = (name: string): Series[] => series.filter((one) => one.name === name);
  const one = (name: string): number => of(name)[0]?.value ?? 0;
  const sum = (name: string, guest: string): number =>
    of(name).reduce(
      (total, { labels, value }) => total + (labels['guest'] === guest ? value : 0),
      0,
    );
  const names = of('hptd_guest_streams').map(({ labels }) => labels['guest']!);
  const answers = Map.groupBy(of('hptd_hcalls_total'), ({ labels }) => labels['guest']!);
  const guests = names.map((guest): [string, GuestLook] => [
    guest,
    {
      answers: (answers.get(guest) ?? []).map(({ labels, value }) => ({
        hcall: labels['hcall']!,
        status: labels['status']!,
        count: value,
      })),
      streams: sum('hptd_guest_streams', guest),
      submittedBytes: sum('hptd_guest_submitted_bytes', guest),
      answerBytes: sum('hptd_guest_answer_bytes', guest),
      lockWaits: sum('hptd_entry_lock_waits_total', guest),
      chainWaits: sum('hptd_chain_lock_waits_total', guest),
      secondPasses: sum('hptd_enter_second_passes_total', guest),
      tlbies: sum('hptd_tlbies_total', guest),
    },
  ]);
  return {
    atMillis,
    guests: new Map(guests),
    processors: of('hptd_processor_up').reduce((total, { value }) => total + value, 0),
    processorDeaths: of('hptd_processor_deaths_total').reduce((all, { value }) => all + value, 0),
    residentBytes: one('process_resident_memory_bytes'),
    cpuSeconds: one('process_cpu_seconds_total'),
  };
}
