/** `hptd walk`: what the hardware's table walk makes of an address, in words. An outcome is an answer: it ends with 0. */
import { bytesText, wimgLetters } from '../../../schemas/hpte.ts';
import { WALK_OUTCOMES } from '../../../schemas/resources.ts';
import {
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonOf,
  parseWords,
} from '../command.ts';
import { EXIT, usageError } from '../errors.ts';
import { paint, print, printJson, wrapped } from '../output.ts';

export const walk: Command = {
  name: 'walk',
  usage: 'walk GUEST EA --slbv WORD [--store] [--fetch] [--problem-state] [--amr WORD] [--json]',
  summary: 'translate an address as the hardware does, setting R and C',
  help: () => `Searches a guest's table for an effective address (EA) as the hardware does, and says what came of it and
why. A translation sets Referenced in the entry, that of a store Changed too: this is no mere look.

  hptd walk g 0x1000 --slbv 0x400000
  hptd walk g 0xc000000000000000 --slbv 0x40bc000000000510 --store --json

Words are written 0x… or as decimal numbers.

  --slbv WORD         the segment that EA is in, as slbmte takes it in RS: VSID, B, Ks, Kp, N, L, C, LP
  --store             the access is a store; a load unless given
  --fetch             the access is an instruction fetch
  --problem-state     in problem state (user mode): Kp of the segment counts, not Ks
  --amr WORD          the Authority Mask Register: two bits a storage key; 0, which denies nothing, unless given
${DAEMON_OPTIONS_HELP}

Exit codes: 0 whatever the outcome, 64 usage, 65 what the daemon does not take, 69 no daemon, 77 not permitted.`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('walk', words, {
    ...DAEMON_OPTIONS,
    slbv: { type: 'string' },
    store: { type: 'boolean', default: false },
    fetch: { type: 'boolean', default: false },
    'problem-state': { type: 'boolean', default: false },
    amr: { type: 'string', default: '0' },
  });
  const [guest, ea] = positionals;
  if (guest === undefined || ea === undefined || positionals.length > 2)
    throw usageError('name a guest and an effective address', 'walk');
  if (values.slbv === undefined)
    throw usageError('which segment is it in? Give its --slbv', 'walk');
  if (values.store && values.fetch)
    throw usageError('an access is a --store or a --fetch, not both', 'walk');
  const body = {
    ea: wordOf('EA', ea),
    slbv: wordOf('--slbv', values.slbv),
    store: values.store,
    fetch: values.fetch,
    problemState: values['problem-state'],
    amr: wordOf('--amr', values.amr),
  };
  const path = `/v1/guests/${encodeURIComponent(guest)}/hpt/walk`;
  const found = (await daemonOf('walk', values).send('POST', path, body)) as Found;
  if (values.json) printJson(found);
  else print(foundText(body, found));
  return EXIT.ok;
}

/** As the daemon takes it. */
function wordOf(name: string, text: string): string {
  if (/^(0x[0-9a-fA-F]{1,16}|\d{1,20})$/.test(text) && BigInt(text) < 1n << 64n)
    return `0x${BigInt(text).toString(16)}`;
  throw usageError(`${name} takes a word of 64 bits, 0x… or decimal, not "${text}"`, 'walk');
}

type Outcome = (typeof WALK_OUTCOMES)[number];

/** The daemon's answer; null where there is no such thing. */
interface Found {
  readonly outcome: Outcome;
  readonly ptex: string | null;
  readonly gpa: string | null;
  readonly pageBytes: number | null;
  readonly wimg: string | null;
  readonly dsisr: string | null;
}

interface Access {
  readonly ea: string;
  readonly store: boolean;
  readonly fetch: boolean;
}

/** What each means for whoever looks at a guest: why, and what would come next. */
const MEANINGS: Readonly<Record<Outcome, string>> = {
  translated: '',
  'no-entry':
    "neither the primary nor the secondary group of this page has an entry for it: a guest's kernel makes one with H_ENTER and tries again",
  protection:
    'the PP bits of the entry, with Ks of the segment (Kp in problem state), do not allow this access',
  'storage-key': "the AMR denies this access to pages with the entry's storage key",
  'no-execute':
    'nothing may be fetched from this page: N of the segment, or N or G of the entry, forbids it',
  'entry-absent':
    'the entry is there, but the host has taken its page away: the host brings it back (HOST_PAGE_FAULT) and the guest notices nothing',
  mmio: 'the entry maps an address that is no memory: the host emulates the access',
};

function foundText(access: Access, found: Found): string {
  const { outcome, ptex, gpa, pageBytes, wimg, dsisr } = found;
  const what = access.fetch ? 'fetch from' : access.store ? 'store to' : 'load from';
  const colour = outcome === 'translated' ? 'green' : 'yellow';
  const rows = [
    ...(gpa === null ? [] : [['guest address', gpa]]),
    ...(ptex === null ? [] : [['ptex', `${ptex}, ${placeText(BigInt(ptex))}`]]),
    ...(pageBytes === null ? [] : [['page', pageText(pageBytes, wimg)]]),
    // SPEC: Power ISA book III-S: an instruction storage interrupt has these bits in SRR1.
    ...(dsisr === null ? [] : [[access.fetch ? 'SRR1' : 'DSISR', dsisr]]),
  ];
  const bits = access.store ? 'Referenced and Changed' : 'Referenced';
  const why = outcome === 'translated' ? `${bits} set in the entry` : MEANINGS[outcome];
  return [
    `${what} ${access.ea}: ${paint(colour, outcome)}`,
    ...rows.map(([name, value]) => `  ${name!.padEnd('guest address'.length)}  ${value!}`),
    wrapped(why, '  '),
  ].join('\n');
}

function placeText(ptex: bigint): string {
  return `slot ${ptex & 7n} of group 0x${(ptex >> 3n).toString(16)}`;
}

function pageText(pageBytes: number, wimg: string | null): string {
  const size = bytesText(Math.log2(pageBytes));
  return wimg === null ? size : `${size}, WIMG ${wimgLetters(BigInt(wimg))}`;
}
