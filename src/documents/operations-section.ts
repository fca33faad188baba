/** The hcalls and control operations on the page of documents. Pure. */
import { FLAGS } from '../../schemas/flags.ts';
import { CONTROLS, HCALLS, type Operation } from '../../schemas/operations.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';
import { html, names, table, type Html } from './html.ts';

export function hcallsSection(): Html {
  return html`<h2 id="hcalls">hcalls</h2>
<p>A guest's own calls, over a stream or one by one over REST. Words are <code>"0x…"</code> strings, flags are names or a word.
The status is an answer: HTTP says 200 whatever it is. With <code>"explain": true</code> the answer says which rule decided, and why.</p>
${HCALLS.map(operation)}
<h3 id="flags">Flags</h3>
${table(
  ['flag', 'word', 'taken by'],
  Object.entries(FLAGS).map(([name, bits]) => [
    html`<code>${name}</code>`,
    html`<code>${hex(bits)}</code>`,
    takers(name),
  ]),
)}
<h3 id="statuses">Statuses</h3>
${table(
  ['status', 'r3', 'answered by'],
  Object.entries(STATUSES).map(([name, value]) => [
    html`<code>${name}</code>`,
    String(value),
    answerers(name),
  ]),
)}`;
}

export function controlsSection(): Html {
  return html`<h2 id="control">Control operations</h2>
<p>What a guest's host does and asks beside hcalls. A guest's stream carries none of them; a stream with <code>role=host</code> does.</p>
${CONTROLS.map(operation)}`;
}

function operation(row: Operation): Html {
  const { name, opcode, kind, arguments: args, results, flags, statuses, meaning, source } = row;
  const address = `/v1/guests/{guest}/${kind === 'hcall' ? 'hcalls' : 'control'}/${name}`;
  const facts: [title: string, value: Html][] = [
    ['opcode', html`<code>0x${opcode.toString(16)}</code>`],
    ['REST', html`<span class="method">POST</span> <code>${address}</code>`],
    ['statuses', names(statuses)],
  ];
  if (flags.length > 0) facts.push(['flags', names(flags)]);
  if (results.length > 0) facts.push(['results', names(results)]);
  if (row.dataWordsMax > 0)
    facts.push(['data', html`up to ${String(row.dataWordsMax)} words behind the arguments`]);
  facts.push(['source', html`${source}`]);
  return html`<section id="${name}">
<h3><a href="#${name}"><code>${name}</code></a></h3>
<p>${sentence(meaning)}</p>
${args.length === 0 ? html`<p class="soft">It takes no arguments.</p>` : argumentTable(row)}
<dl>${facts.map(([title, value]) => html`<dt>${title}</dt><dd>${value}</dd>`)}</dl>
</section>
`;
}

function argumentTable({ arguments: args, wordsMin }: Operation): Html {
  return table(
    ['argument', 'meaning', ''],
    args.map(({ name, kind, meaning }, i) => [
      html`<code>${name}</code>`,
      meaning,
      kind === 'flags' || i >= wordsMin ? html`<span class="soft">optional</span>` : '',
    ]),
  );
}

function takers(flag: string): Html {
  const list = HCALLS.filter(({ flags }) => (flags as readonly string[]).includes(flag));
  return list.length === 0
    ? html`<span class="soft">known, and read by none</span>`
    : links(list.map(({ name }) => name));
}

function answerers(status: string): Html {
  const rows: readonly Operation[] = [...HCALLS, ...CONTROLS];
  const list = rows.filter(({ statuses }) => (statuses as readonly string[]).includes(status));
  if (list.length > FEW) return html`<span class="soft">most</span>`;
  return list.length === 0
    ? html`<span class="soft">none: named for replays</span>`
    : links(list.map(({ name }) => name));
}

/** More names than these say nothing. */
const FEW = 12;

function links(list: readonly string[]): Html {
  return {
    html: list.map((name) => html`<a href="#${name}"><code>${name}</code></a>`.html).join(', '),
  };
}

/** A meaning of the tables, as a sentence. "hcall" is written so wherever it stands. */
export function sentence(text: string): string {
  const first = text.startsWith('hcall') ? text[0]! : text[0]!.toUpperCase();
  return `${first}${text.slice(1)}${/[.?!]$/.test(text) ? '' : '.'}`;
}
