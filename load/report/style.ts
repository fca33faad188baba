/** The page's style. Line colours are told apart by people who see few colours, on white and on black. */
export const STYLE = `
:root {
  --page: #fff; --text: #1d2126; --quiet: #5d6670; --line: #dfe3e8; --soft: #f5f7f9;
  --line-0: #0b62c4; --line-1: #c2410c; --line-2: #0f7b5f; --line-3: #8a3fa8; --line-4: #9a6b00; --line-5: #b3214f;
  --good: #0f7b5f; --bad: #b42318; --fair: #0b62c4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --text: #e6e9ed; --quiet: #98a2ad; --line: #2d343c; --soft: #1c2127;
    --line-0: #6cb0ff; --line-1: #ff9a62; --line-2: #52d0a8; --line-3: #d597f0; --line-4: #e6c04d; --line-5: #ff86ac;
    --good: #52d0a8; --bad: #ff8a80; --fair: #6cb0ff;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 900px; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; margin: 3.2rem 0 0.8rem; padding-top: 0.9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 0 0 0.2rem; }
p { margin: 0 0 0.8rem; }
.machine { display: flex; flex-wrap: wrap; gap: 0.6rem 2.2rem; margin: 0 0 1rem; }
.machine div { min-width: 0; }
dt, .note, figure > p, small, caption { color: var(--quiet); }
dt { font-size: 0.78rem; } dd { margin: 0; font-weight: 600; }
.note, figure > p { font-size: 0.92rem; }
nav { display: flex; flex-wrap: wrap; gap: 0.3rem 1.1rem; font-size: 0.92rem; }
a { color: var(--line-0); text-decoration: none; } a:hover { text-decoration: underline; }
figure { margin: 0 0 2.4rem; }
svg { display: block; width: 100%; height: auto; margin: 0.4rem 0 0.6rem; font: 12px system-ui, sans-serif; }
svg .grid { stroke: var(--line); } svg .base, svg .mark { stroke: var(--quiet); }
svg .tick { fill: var(--quiet); } svg .axis { fill: var(--text); } svg .value { fill: var(--text); font-weight: 600; }
svg .curve { fill: none; stroke: var(--colour); stroke-width: 2.2; stroke-linejoin: round; }
svg .dot { fill: var(--page); stroke: var(--colour); stroke-width: 2; } svg .dot[stroke-dasharray] { stroke-dasharray: none; }
svg .bar { fill: var(--colour); } svg .name { fill: var(--colour); font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; font-size: 0.8rem; padding-top: 0.35rem; }
th, td { padding: 0.28rem 0.7rem 0.28rem 0; text-align: left; font-weight: 400; border-bottom: 1px solid var(--line); }
thead th { color: var(--quiet); font-size: 0.82rem; }
.number { text-align: right; white-space: nowrap; }
.budgets small { display: block; } .budgets td { vertical-align: top; }
.verdict { white-space: nowrap; font-weight: 600; }
.verdict.ambition { color: var(--good); } .verdict.must { color: var(--fair); }
.verdict.short, .failure { color: var(--bad); } .verdict.unmeasured { color: var(--quiet); }
pre { background: var(--soft); border-radius: 6px; padding: 0.7rem 0.9rem; white-space: pre-wrap; font-size: 0.8rem; margin: 0.8rem 0 0; }
`;
