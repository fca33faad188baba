/** Pieces of the pages: text made safe, tables, and the frame around it all. Pages load nothing and run nothing. Pure. */

/** HTML, as opposed to text that must be made safe first. */
export interface Html {
  readonly html: string;
}

type Piece = string | Html | readonly Html[];

function safe(piece: Piece): string {
  if (typeof piece !== 'string')
    return 'html' in piece ? piece.html : piece.map(({ html }) => html).join('');
  return piece
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** A template whose text values are made safe. */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return { html: String.raw({ raw: parts }, ...pieces.map(safe)) };
}

/** A sentence of the tables, where what stands between backticks is code. */
export function prose(text: string): Html {
  return { html: safe(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>') };
}

/** Names as code, with commas. */
export function names(list: readonly string[]): Html {
  return {
    html: list.map((name) => html`<code>${name}</code>`.html).join(', '),
  };
}

export function table(titles: readonly string[], rows: readonly (readonly Piece[])[]): Html {
  const head = titles.map((title) => html`<th>${title}</th>`);
  const body = rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>\n`);
  return html`<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table></div>`;
}

const STYLE = `
:root { color-scheme: light dark; --text: #1c2024; --soft: #5b6570; --back: #fff; --panel: #f4f6f8; --line: #d9dee3; --link: #0b5cad; --mark: #7a3e00; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e7ea; --soft: #9aa5b1; --back: #14171a; --panel: #1d2226; --line: #343b42; --link: #7cb8f5; --mark: #f0b36b; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); }
.page { display: grid; grid-template-columns: 15rem minmax(0, 1fr); max-width: 80rem; margin: 0 auto; }
nav { position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto; padding: 1.5rem 1rem; font-size: .9rem; }
nav ul { list-style: none; margin: 0 0 .75rem; padding-left: .75rem; }
nav > ul { padding: 0; }
nav li { overflow-wrap: anywhere; }
nav .top { font-weight: 600; }
main { padding: 1.5rem; min-width: 0; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; }
h2 { margin: 3rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { margin: 1.75rem 0 .25rem; font-size: 1.05rem; }
h3 code { font-size: 1em; }
p { margin: .35rem 0; max-width: 48rem; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
code, pre { font: .875em/1.5 ui-monospace, monospace; }
code { background: var(--panel); padding: .08em .3em; border-radius: 3px; overflow-wrap: anywhere; }
pre { background: var(--panel); padding: .75rem 1rem; border-radius: 6px; overflow-x: auto; }
pre code { background: none; padding: 0; }
.wide { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .92rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td:has(.method) { width: 4.5rem; }
td code { overflow-wrap: normal; white-space: nowrap; }
details a { line-height: 1.9; }
.soft { color: var(--soft); }
.method { font: 600 .8rem/1 ui-monospace, monospace; color: var(--mark); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem; margin: .5rem 0; font-size: .92rem; }
dt { color: var(--soft); }
dd { margin: 0; }
:target { background: var(--panel); box-shadow: -.75rem 0 0 var(--panel); }
@media (max-width: 50rem) {
  .page { display: block; }
  nav { position: static; max-height: none; border-bottom: 1px solid var(--line); }
  nav ul ul { display: none; }
}
`;

/** `navigation` stands beside the text, if there is one. */
export function page(title: string, body: Html, navigation?: Html): string {
  const { html: text } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${{ html: STYLE }}</style>
</head>
<body>
<div class="page">
<nav>${navigation ?? html`<a href="/docs">hptd</a>`}</nav>
<main>
${body}
</main>
</div>
</body>
</html>
`;
  return text;
}
