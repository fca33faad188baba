/** The report as one page that needs nothing else: no script, no font, no picture from anywhere. */
import { isUnsure, type Judgement } from '../budgets/budgets.ts';
import type { Machine } from '../machine.ts';
import type { Json } from '../run-profile.ts';
import { exact, short } from './axis.ts';
import { barsSvg } from './bars.ts';
import { type Line, linesOf } from './lines.ts';
import { curvesSvg, escaped } from './plot.ts';
import type { Plot, Section } from './sections.ts';
import { STYLE } from './style.ts';

/** A section with what its runs gave. */
export interface Measured {
  readonly section: Section;
  readonly rows: readonly Json[];
  readonly commands: readonly string[];
  readonly failures: readonly string[];
}

export interface ReportFacts {
  readonly version: string;
  readonly measuredAt: Date;
  readonly machine: Machine;
  readonly judgements: readonly Judgement[];
}

export function pageOf(facts: ReportFacts, measured: readonly Measured[]): string {
  const { version, measuredAt, machine, judgements } = facts;
  const when = measuredAt.toISOString().slice(0, 16).replace('T', ' ');
  const links = measured.map(
    ({ section: { title } }) => `<a href="#${anchor(title)}">${escaped(title)}</a>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>hptd ${version}: load report</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>hptd ${version}: load report</h1>
<dl class="machine">
<div><dt>processor</dt><dd>${escaped(machine.cpu)}, ${machine.cores} core${machine.cores === 1 ? '' : 's'}</dd></div>
<div><dt>memory</dt><dd>${machine.memoryGibibytes} GiB</dd></div>
<div><dt>system</dt><dd>${escaped(machine.system)}</dd></div>
<div><dt>Node</dt><dd>${escaped(machine.node)}</dd></div>
<div><dt>measured</dt><dd>${when} UTC</dd></div>
</dl>
<p class="note">Absolute figures belong to this machine and this hour; what can be compared elsewhere are the ratios to the
yardsticks (broken lines), which were measured in the same run, in turns. A spread above 0.2 says that the machine did something
else too.</p>
<nav>${['<a href="#budgets">The numbers to reach</a>', ...links].join('')}</nav>
</header>
<main>
${budgetsOf(judgements)}
${measured.map(sectionOf).join('\n')}
</main>
</body>
</html>
`;
}

function anchor(title: string): string {
  return title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

const VERDICTS: Record<Judgement['verdict'], string> = {
  ambition: 'ambition reached',
  must: 'reached',
  short: 'falls short',
  unmeasured: 'not measured',
};

function budgetsOf(judgements: readonly Judgement[]): string {
  const rows = judgements.map(
    ({ name, figure, must, ambition, better, spread, verdict, because }) => {
      const sign = better === 'lower' ? '≤' : '≥';
      const cells = [
        `<th scope="row">${escaped(name)}<small>${escaped(because)}</small></th>`,
        number(figure === null ? '–' : `${figure}`),
        number(`${sign} ${must}`),
        number(`${sign} ${ambition}`),
        number(spread === null ? '–' : spread.toFixed(2)),
        `<td><span class="verdict ${verdict}">${VERDICTS[verdict]}</span>${isUnsure({ spread }) ? '<small>unsure: see the spread</small>' : ''}</td>`,
      ];
      return `<tr>${cells.join('')}</tr>`;
    },
  );
  const heads = ['figure', 'must', 'ambition', 'spread'].map(
    (head) => `<th class="number">${head}</th>`,
  );
  const commands = [...new Set(judgements.flatMap((judgement) => judgement.commands))];
  return `<section id="budgets"><h2>The numbers to reach</h2>
<div class="wide"><table class="budgets"><thead><tr><th>promise</th>${heads.join('')}<th></th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>
${commandsOf(commands)}</section>`;
}

function number(text: string): string {
  return `<td class="number">${escaped(text)}</td>`;
}

function commandsOf(commands: readonly string[]): string {
  return `<pre><code>${commands.map(escaped).join('\n')}</code></pre>`;
}

function sectionOf({ section, rows, commands, failures }: Measured): string {
  const plots = section.plots.map((plot) => figureOf(plot, linesOf(plot, rows)));
  const failed = failures.map((failure) => `<p class="failure">${escaped(failure)}</p>`);
  return `<section id="${anchor(section.title)}"><h2>${escaped(section.title)}</h2>
${failed.join('')}${plots.join('\n')}
${commandsOf(commands)}</section>`;
}

function figureOf(plot: Plot, lines: readonly Line[]): string {
  const says = `<h3>${escaped(plot.title)}</h3><p>${escaped(plot.says)}</p>`;
  if (lines.length === 0)
    return `<figure>${says}<p class="failure">Nothing was measured.</p></figure>`;
  const draw = { lines: curvesSvg, bars: barsSvg, table: () => '' }[plot.kind];
  const picture = draw(plot, lines);
  return `<figure>${says}${picture}${tableOf(plot, lines)}</figure>`;
}

/** A row for each place on the x axis, a column for each line. */
function tableOf({ x, y, kind }: Plot, lines: readonly Line[]): string {
  const places = [...new Set(lines.flatMap(({ points }) => points.map((point) => point.x)))];
  const unit =
    y.unit === ''
      ? ''
      : `<caption>${escaped(y.title)}, ${escaped(y.unit)}; in brackets: spread of the rounds</caption>`;
  const heads = lines.map(
    ({ label }) => `<th class="number">${escaped(label === '' ? y.title : label)}</th>`,
  );
  const rows = places.map((place) => {
    const cells = lines.map(({ points }) =>
      cellOf(
        points.find((point) => point.x === place),
        kind,
      ),
    );
    const name = typeof place === 'number' ? exact(place) : place;
    return `<tr><th scope="row">${escaped(name)}</th>${cells.join('')}</tr>`;
  });
  return `<div class="wide"><table>${unit}<thead><tr><th>${escaped(x.title)}</th>${heads.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function cellOf(point: Line['points'][number] | undefined, kind: Plot['kind']): string {
  if (point === undefined) return number('–');
  const figure = kind === 'table' ? point.y.toLocaleString('en-US') : short(point.y);
  const spread = point.spread === undefined ? '' : `<small> (${point.spread.toFixed(2)})</small>`;
  return `<td class="number">${figure}${spread}</td>`;
}
