/**
 * The style of the page. Colours are chosen to be told apart with every common colour blindness and to
 * have a contrast of 4.5 (text) and 3 (lines, bars) on their ground, light and dark. Nothing is told by
 * colour alone: verdicts have signs and words, curves have dashes.
 */
const LIGHT = `
  color-scheme: light;
  --ground: #f5f6f8; --card: #ffffff; --sunk: #eef0f3; --line: #d4d9e0; --ink: #171b21; --quiet: #545c69;
  --accent: #0058a3; --pass: #00664f; --fail: #b3261e; --warn: #8a5300; --grid: #e3e6eb;
  --pass-ground: #e2f3ee; --fail-ground: #fdeceA; --warn-ground: #fcf1dd;
  --c0: #0063a6; --c1: #b84a00; --c2: #00745a; --c3: #93347a; --c4: #7a5c00; --c5: #4a4fb5;
  --mark: #7c3aa8; --warmup: rgba(90, 100, 120, 0.10);`;

const DARK = `
  color-scheme: dark;
  --ground: #101317; --card: #191d23; --sunk: #222830; --line: #3a424d; --ink: #eceff3; --quiet: #a9b2bf;
  --accent: #79bbf0; --pass: #4fd1ac; --fail: #ff8f85; --warn: #f0b95a; --grid: #2b323b;
  --pass-ground: #14322a; --fail-ground: #3d1c1a; --warn-ground: #372a12;
  --c0: #5fb4f0; --c1: #f4924d; --c2: #40cba2; --c3: #e58fce; --c4: #e3c444; --c5: #a9adff;
  --mark: #c99af0; --warmup: rgba(160, 175, 200, 0.12);`;

export const STYLE = `
:root {${LIGHT}
}
/* Paper is light. */
@media screen and (prefers-color-scheme: dark) { :root:not([data-theme='light']) {${DARK}
} }
@media screen { :root[data-theme='dark'] {${DARK}
} }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 3.5rem; }
body {
  margin: 0; background: var(--ground); color: var(--ink); line-height: 1.45;
  font: 15px/1.45 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
a { color: var(--accent); }
h1, h2, h3, h4, p, figure { margin: 0; }
h2 { font-size: 1.45rem; line-height: 1.2; }
h3 { font-size: 1rem; }
h4 { font-size: 0.875rem; margin-top: 1rem; }
button, select, input { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.quiet { color: var(--quiet); }
.small { font-size: 0.8125rem; }
.number { text-align: right; white-space: nowrap; }
.mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.8125rem; }

.top {
  position: sticky; top: 0; z-index: 10; display: flex; gap: 0.75rem; align-items: center;
  padding: 0.5rem 1rem; background: var(--card); border-bottom: 1px solid var(--line);
}
.brand { font-weight: 700; letter-spacing: -0.01em; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; min-width: 0; }
.brand span { font-weight: 400; color: var(--quiet); }
.grow { flex: 1; }
.top button { white-space: nowrap; flex: none; }
.top button, .choice button {
  border: 1px solid var(--line); background: var(--card); border-radius: 6px; padding: 0.2rem 0.6rem;
  font-size: 0.8125rem; min-height: 28px;
}
main { max-width: 1400px; margin: 0 auto; padding: 1rem; }
main, .now, .done { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }

.hero { background: var(--card); border: 1px solid var(--line); border-left: 8px solid var(--tone); border-radius: 10px; padding: 1.1rem 1.25rem; }
.hero-head { display: flex; gap: 0.9rem; align-items: center; }
.hero h1 { font-size: clamp(1.35rem, 3.6vw, 2.1rem); line-height: 1.15; letter-spacing: -0.015em; }
.sign { flex: none; display: grid; place-items: center; width: 3rem; height: 3rem; border-radius: 50%; background: var(--tone); color: var(--card); font-size: 1.6rem; font-weight: 700; }
.hero .word { color: var(--tone); }
.hero .word::first-letter { text-transform: uppercase; }
.hero .verdict { text-transform: uppercase; }
.hero .lead { margin-top: 0.6rem; max-width: 75ch; }
.hero .meta { overflow-wrap: anywhere; margin-top: 0.75rem; color: var(--quiet); font-size: 0.8125rem; }
.tone-c1 { color: var(--c1); font-weight: 700; }
.tone-pass { --tone: var(--pass); --tone-ground: var(--pass-ground); }
.tone-fail { --tone: var(--fail); --tone-ground: var(--fail-ground); }
.tone-warn { --tone: var(--warn); --tone-ground: var(--warn-ground); }
.tone-none { --tone: var(--quiet); --tone-ground: var(--sunk); }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(135px, 1fr)); gap: 0.6rem; margin-top: 0.9rem; }
.tile { background: var(--sunk); border-radius: 8px; padding: 0.55rem 0.7rem; min-width: 0; }
.tile b { display: block; font-size: 1.2rem; line-height: 1.25; letter-spacing: -0.01em; }
.tile span { font-size: 0.78rem; color: var(--quiet); display: block; line-height: 1.3; }
.tile.bad b { color: var(--fail); }

.pill { display: inline-flex; gap: 0.35em; align-items: center; padding: 0.05rem 0.55rem; border-radius: 999px; background: var(--tone-ground); color: var(--tone); font-weight: 650; font-size: 0.8125rem; white-space: nowrap; }
.reasons, .examples { overflow-wrap: anywhere; }
.reasons { margin: 0.6rem 0 0; padding: 0.55rem 0.8rem 0.55rem 2rem; background: var(--tone-ground); border-radius: 8px; }
.reasons li::marker { content: '!  '; color: var(--tone); font-weight: 700; }
.examples { margin: 0.4rem 0 0; padding-left: 1.1rem; }

.index { display: flex; flex-wrap: wrap; gap: 0.4rem; }
.index a { display: inline-flex; gap: 0.45em; align-items: center; text-decoration: none; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 999px; padding: 0.2rem 0.75rem; font-size: 0.875rem; }
.index a b { color: var(--tone); }

.scenario { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem; min-width: 0; }
.scenario > header { display: flex; flex-wrap: wrap; gap: 0.5rem 0.75rem; align-items: baseline; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 0.9rem; margin-top: 0.9rem; align-items: start; grid-auto-flow: dense; }
.panel > .tiles:first-child { margin-top: 0; }
.panel { min-width: 0; border: 1px solid var(--line); border-radius: 8px; padding: 0.75rem 0.85rem; }
.panel.wide { grid-column: 1 / -1; }
.panel > p.quiet { font-size: 0.8125rem; margin: 0.15rem 0 0.5rem; }
.panel header { display: flex; flex-wrap: wrap; gap: 0.35rem 0.75rem; align-items: center; }

.choice { display: inline-flex; flex-wrap: wrap; gap: 0.3rem; }
.choice button[aria-pressed='true'] { background: var(--ink); color: var(--card); border-color: var(--ink); }
.key { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; margin: 0.4rem 0 0; padding: 0; list-style: none; font-size: 0.8125rem; }
.key li { display: inline-flex; gap: 0.4rem; align-items: center; }
.key svg { flex: none; }
.swatch { width: 0.8rem; height: 0.8rem; border-radius: 2px; background: var(--fill); flex: none; display: inline-block; }
.marks { margin: 0.35rem 0 0; padding: 0; list-style: none; font-size: 0.8125rem; max-height: 9.5rem; overflow-y: auto; }
.marks b { color: var(--mark); }

.plot { min-width: 0; overflow: hidden; }
.plot svg { display: block; max-width: 100%; }
.plot text { fill: var(--quiet); font-size: 11px; font-family: inherit; }
.plot text.strong { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
.plot text.toned { fill: var(--tone); font-weight: 600; }
.uplot { font-family: inherit; }
.uplot .u-legend { font-size: 0.8125rem; text-align: left; margin: 0.2rem 0 0; }
.uplot .u-legend th { font-weight: 500; }
.uplot .u-legend .u-value { font-variant-numeric: tabular-nums; }
.u-inline.u-live th::after { content: ''; }
.u-legend.u-inline .u-series { margin-right: 0.9rem; }
.u-cursor-x, .u-cursor-y { border-color: var(--quiet) !important; }
.u-select { background: var(--warmup); }

/* A shadow at the edge behind which a table goes on: the cover scrolls along with it, the shadow stays. */
.scroll {
  --shade: color-mix(in srgb, var(--ink) 28%, transparent);
  overflow-x: auto; max-width: 100%;
  background:
    linear-gradient(to right, var(--card) 40%, transparent) left / 2.5rem 100% no-repeat local,
    linear-gradient(to left, var(--card) 40%, transparent) right / 2.5rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / 0.9rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / 0.9rem 100% no-repeat scroll;
}
table.figures { border-collapse: collapse; width: 100%; font-size: 0.8438rem; }
.figures th, .figures td { padding: 0.22rem 0.5rem; border-bottom: 1px solid var(--grid); text-align: left; vertical-align: top; overflow-wrap: normal; }
.figures th { font-weight: 600; color: var(--quiet); white-space: nowrap; }
.figures th:first-child, .figures td:first-child { padding-left: 0; }
.figures td.number, .figures th.number { text-align: right; }
.figures tr.bad td { color: var(--fail); font-weight: 600; }
.figures .wrap { overflow-wrap: break-word; }
.figures .label { white-space: nowrap; }
.bar { position: relative; height: 0.85rem; min-width: 60px; background: var(--sunk); border-radius: 3px; overflow: hidden; }
.bar i { position: absolute; inset: 0 auto 0 0; width: var(--w); background: var(--fill, var(--c0)); border-radius: 3px 0 0 3px; }
.bar i.limit { background: none; border-right: 2px solid var(--ink); border-radius: 0; }
.barcell { width: 32%; min-width: 70px; padding-top: 0.42rem !important; }

.balance { display: grid; gap: 0.2rem 0.6rem; grid-template-columns: auto minmax(0, 1fr) auto; align-items: center; font-size: 0.875rem; }
.stack { display: flex; height: 1.5rem; border-radius: 4px; overflow: hidden; background: var(--sunk); gap: 1px; }
.stack i { flex: var(--w) 0 0; min-width: 4px; background: var(--fill); }
.sum { margin-top: 0.45rem; font-size: 0.875rem; }
.zeros { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 0.35rem 0.9rem; margin: 0.5rem 0 0; padding: 0; list-style: none; font-size: 0.8438rem; }
.zeros li { display: grid; grid-template-columns: 1.2rem auto 1fr; gap: 0.3rem; align-items: baseline; }
.zeros small { grid-column: 2 / -1; color: var(--quiet); line-height: 1.25; }
.ok { color: var(--pass); font-weight: 700; }
.no { color: var(--fail); font-weight: 700; }

details > summary { cursor: pointer; font-weight: 600; padding: 0.2rem 0; }
details { margin-top: 0.35rem; }
details[open] > .sliders { margin-top: 0.5rem; }
pre { margin: 0.5rem 0 0; padding: 0.7rem; background: var(--sunk); border-radius: 6px; overflow: auto; max-height: 420px; font: 12px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }

.sliders { display: grid; gap: 0.55rem 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); }
.slider { display: grid; gap: 0.1rem; font-size: 0.8438rem; }
.slider .row { display: flex; gap: 0.5rem; justify-content: space-between; align-items: baseline; }
.slider output { font-weight: 650; white-space: nowrap; }
.slider input[type='range'] { width: 100%; accent-color: var(--accent); margin: 0; min-height: 24px; }
.slider select { width: 100%; padding: 0.2rem; border: 1px solid var(--line); border-radius: 6px; background: var(--card); }
.answer { font-size: 1.05rem; margin: 0.75rem 0; padding: 0.75rem 0.9rem; border-radius: 8px; background: var(--sunk); }
.tone-warn-text { color: var(--warn); }
.slider input[type='number'] { width: 100%; padding: 0.2rem 0.4rem; border: 1px solid var(--line); border-radius: 6px; background: var(--card); }
.answer b { font-size: 1.5rem; }

.meter { height: 0.6rem; border-radius: 999px; background: var(--sunk); overflow: hidden; margin-top: 0.75rem; }
.meter i { display: block; height: 100%; width: var(--w); background: var(--accent); }
footer { color: var(--quiet); font-size: 0.8125rem; padding: 0.5rem 0 2rem; }

@media (max-width: 560px) {
  main { padding: 0.6rem; gap: 0.6rem; }
  .scenario { padding: 0.75rem 0.65rem; }
  .panel { padding: 0.6rem; }
  .hero { padding: 0.85rem; border-left-width: 6px; }
  .sign { width: 2.3rem; height: 2.3rem; font-size: 1.2rem; }
  .figures th, .figures td { padding: 0.22rem 0.3rem; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@media print {
  .top, .choice, .index { display: none !important; }
  body { background: none; font-size: 11px; }
  main { max-width: none; padding: 0; display: block; }
  .hero, .scenario { break-inside: auto; margin-bottom: 0.75rem; border-color: #999; }
  .hero { border-left-color: var(--tone); }
  .panel, .hero-head, tr { break-inside: avoid; }
  .panels { grid-template-columns: 1fr 1fr; }
  /* Nobody scrolls paper: tables break their lines instead. */
  .scroll { overflow: visible; background: none; }
  .figures { font-size: 9.5px !important; }
  .figures th, .figures td, .figures .label, .number { white-space: normal !important; padding: 0.15rem 0.25rem; overflow-wrap: anywhere; }
  .panel:has(table.figures tr > :nth-child(6)) { grid-column: 1 / -1; }
  /* Drawn for the screen, and nobody draws anew for paper: so they are scaled. */
  .uplot, .uplot .u-wrap, .uplot canvas, .plot svg { width: 100% !important; height: auto !important; }
  .uplot canvas { position: static; }
  pre, .marks { max-height: none; overflow: visible; white-space: pre-wrap; }
  .bar i, .stack i, .sign, .pill, .swatch, .meter i { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
`;
