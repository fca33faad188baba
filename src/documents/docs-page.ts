/**
 * `/docs`: everything that the tables say, as one page for people, and the pages of the problems. Pure; made once, when
 * somebody asks for it.
 */
import { GUEST_STATES } from '../../schemas/guest-states.ts';
import { CONTROLS, HCALLS } from '../../schemas/operations.ts';
import { PROBLEMS, PROBLEM_CODES, type ProblemCode } from '../../schemas/problems.ts';
import { TAGS, type Route } from '../../schemas/route.ts';
import { ANYWHERE, ROUTES } from '../../schemas/routes.ts';
import { CLOSE_CODES, JSON_STREAM_PROTOCOL, STREAM_PROTOCOL } from '../../schemas/stream.ts';
import { OPTIONS } from '../operations/config.ts';
import { html, names, page, prose, table, type Html } from './html.ts';
import { limits } from './limits.ts';
import { controlsSection, hcallsSection, sentence } from './operations-section.ts';

export function docsPage(version: string): string {
  const body = html`<h1>hptd ${version}</h1>
<p>A POWER guest's hashed page table and its hypercalls, as a networked daemon. This page is made from the tables that the
daemon itself works by. For programs: <a href="/openapi.json">OpenAPI 3.1</a> of the HTTP interface and
<a href="/asyncapi.json">AsyncAPI 3</a> of the stream.</p>
<pre><code>curl -X PUT --json '{"order":24,"ramBytes":1073741824}' http://127.0.0.1:7808/v1/guests/g
curl --json '{"ptex":"0x190b8"}' http://127.0.0.1:7808/v1/guests/g/hcalls/H_READ</code></pre>
${routesSection()}
${hcallsSection()}
${controlsSection()}
${streamSection()}
${statesSection()}
${problemsSection()}
${optionsSection()}
${limitsSection()}`;
  return page(`hptd ${version}: documents`, body, navigation());
}

function navigation(): Html {
  const inside = (list: readonly { name: string }[]): Html =>
    html`<ul>${list.map(({ name }) => html`<li><a href="#${name}">${name}</a></li>`)}</ul>`;
  return html`<ul>
<li class="top"><a href="#routes">Addresses</a></li>
<li><ul>${Object.keys(TAGS).map((tag) => html`<li><a href="#routes-${tag}">${tag}</a></li>`)}</ul></li>
<li class="top"><a href="#hcalls">hcalls</a></li>
<li>${inside(HCALLS)}</li>
<li class="top"><a href="#control">Control operations</a></li>
<li>${inside(CONTROLS)}</li>
<li class="top"><a href="#stream">The stream</a></li>
<li class="top"><a href="#states">A guest's states</a></li>
<li class="top"><a href="#problems">Problems</a></li>
<li class="top"><a href="#options">Options of the daemon</a></li>
<li class="top"><a href="#limits">Limits</a></li>
</ul>`;
}

function routesSection(): Html {
  return html`<h2 id="routes">Addresses</h2>
<p>Bodies and answers in full are in <a href="/openapi.json">the OpenAPI document</a>. What is wrong with a request comes as
<code>application/problem+json</code>; beside the problems named here any address may answer ${problemLinks(ANYWHERE)}.</p>
${Object.entries(TAGS).map(
  ([tag, meaning]) => html`<h3 id="routes-${tag}">${meaning}</h3>
${table(
  ['', 'address', 'what it does', 'problems'],
  ROUTES.filter((route) => route.tag === tag).map(routeRow),
)}`,
)}`;
}

function routeRow({ method, path, summary, query = [], problems }: Route): Html[] {
  const asked = query.map(({ name }) => name).join(',');
  return [
    html`<span class="method">${method}</span>`,
    html`<code>${path}${asked === '' ? '' : `{?${asked}}`}</code>`,
    html`${sentence(summary)}`,
    foldedProblems([...new Set(problems)]),
  ];
}

function foldedProblems(codes: readonly ProblemCode[]): Html {
  return codes.length === 0
    ? html`<span class="soft">none</span>`
    : html`<details><summary class="soft">${String(codes.length)}</summary>${problemLinks(codes)}</details>`;
}

function problemLinks(codes: readonly ProblemCode[]): Html {
  return {
    html: codes
      .map((code) => html`<a href="#problem-${code}"><code>${code}</code></a>`.html)
      .join(', '),
  };
}

function streamSection(): Html {
  return html`<h2 id="stream">The stream</h2>
<p><code>GET /v1/guests/{guest}/stream</code>, upgraded to a WebSocket, with the subprotocol <code>${STREAM_PROTOCOL}</code> (binary
records, for programs) or <code>${JSON_STREAM_PROTOCOL}</code> (the same calls in JSON, for people). The daemon speaks first: a hello
with the limits. Its records are executed and answered in order.</p>
<h3 id="close-codes">Codes with which a stream closes</h3>
${table(
  ['code', 'meaning', 'what to do', 'connect again?'],
  CLOSE_CODES.map(({ code, meaning, advice, again }) => [
    html`<code>${String(code)}</code>`,
    sentence(meaning),
    sentence(advice),
    again ? 'yes' : 'no',
  ]),
)}`;
}

function statesSection(): Html {
  return html`<h2 id="states">A guest's states</h2>
<p><code>PATCH /v1/guests/{guest}</code> asks for one.</p>
${table(
  ['state', 'meaning', 'what may be asked for'],
  Object.entries(GUEST_STATES).map(([name, { meaning, next }]) => [
    html`<code>${name}</code>`,
    sentence(meaning),
    next.length === 0 ? html`<span class="soft">nothing</span>` : names(next),
  ]),
)}`;
}

function problemsSection(): Html {
  return html`<h2 id="problems">Problems</h2>
<p>What can be wrong with a request itself. A code never changes; programs go by it.</p>
${PROBLEM_CODES.map(
  (code) => html`<section id="problem-${code}">
<h3><a href="/problems/${code}"><code>${code}</code></a> ${PROBLEMS[code].title}</h3>
${problemFacts(code)}
</section>
`,
)}`;
}

function problemFacts(code: ProblemCode): Html {
  const { status, meaning, whatToDo } = PROBLEMS[code];
  return html`<p>${prose(meaning)}</p>
<dl><dt>what to do</dt><dd>${prose(whatToDo)}</dd><dt>HTTP status</dt><dd>${String(status)}</dd></dl>`;
}

function optionsSection(): Html {
  return html`<h2 id="options">Options of the daemon</h2>
<p>On the command line, in the environment, or as a member of the file that <code>--config</code> names: the first that has it wins.
<code>hptd serve --print-config</code> shows each value and where it comes from.</p>
${table(
  ['option', 'variable', 'meaning', 'unless given'],
  OPTIONS.map(({ flag, value, environment, meaning, initial }) => [
    html`<code>${flag} ${value}</code>`,
    html`<code>${environment}</code>`,
    sentence(meaning),
    initial ?? '',
  ]),
)}`;
}

function limitsSection(): Html {
  return html`<h2 id="limits">Limits</h2>
<p>Sizes in bytes unless the name says otherwise.</p>
${table(
  ['limit', 'value', 'reason'],
  limits().map(({ name, value, reason }) => [html`<code>${name}</code>`, value, reason]),
)}`;
}

/** Where the `type` of a problem leads somebody with a browser. */
export function problemPage(code: ProblemCode): string {
  const where = ROUTES.filter(({ problems }) => problems.includes(code));
  const body = html`<h1>${PROBLEMS[code].title}</h1>
<p class="soft"><code>${code}</code></p>
${problemFacts(code)}
<h2>Where it comes</h2>
${
  ANYWHERE.includes(code)
    ? html`<p>Any address may answer it.</p>`
    : table(
        ['', 'address', 'what it does'],
        where.map((route) => routeRow(route).slice(0, 3)),
      )
}
<p><a href="/problems">All problems</a></p>`;
  return page(`${code}: ${PROBLEMS[code].title}`, body);
}

export function problemsPage(): string {
  const body = html`<h1>Problems</h1>
${table(
  ['code', 'HTTP', 'what it is', 'what to do'],
  PROBLEM_CODES.map((code) => [
    html`<a href="/problems/${code}"><code>${code}</code></a>`,
    String(PROBLEMS[code].status),
    PROBLEMS[code].title,
    prose(PROBLEMS[code].whatToDo),
  ]),
)}`;
  return page('hptd: problems', body);
}
