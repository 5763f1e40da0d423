/**
 * The report's style sheet. Colours are variables with a light and a dark value; charts use the same variables (see
 * chart-kit.ts), so that one drawing suits both. Paper is always light.
 */
const LIGHT = `
  --page: #fafaf8; --panel: #ffffff; --ink: #1b1f27; --soft: #565d6b; --line: #e2e3e0; --track: #e9eae7;
  --link: #0b62a4; --warn-ink: #6b4300; --warn-back: #fff5df; --warn-line: #e0a021;
  --good: #0d6f53; --good-back: #e0f3ec; --bad: #a33a00; --bad-back: #fdebe1;
  --series-1: #1f77b4; --series-2: #d1570d; --series-3: #0b8f6a; --series-4: #b0578b;
  --on-series: #ffffff; --chart-ink: #565d6b; --chart-grid: #00000017; --chart-empty: #00000008;`

const DARK = `
  --page: #13161c; --panel: #1b1f27; --ink: #e9ebef; --soft: #a3abb8; --line: #2e343f; --track: #2d333e;
  --link: #7cc0f2; --warn-ink: #f6dca6; --warn-back: #33290f; --warn-line: #c98f1c;
  --good: #6fd6b2; --good-back: #14332a; --bad: #ffab80; --bad-back: #3b2216;
  --series-1: #5cb3ea; --series-2: #f58a4b; --series-3: #45c79e; --series-4: #dd92bb;
  --on-series: #101318; --chart-ink: #a3abb8; --chart-grid: #ffffff1c; --chart-empty: #ffffff0a;`

export const REPORT_STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box }
html { scroll-behavior: smooth; scroll-padding-top: 3.5rem; -webkit-text-size-adjust: 100% }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, 'Segoe UI',
  Roboto, 'Helvetica Neue', Arial, sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: break-word }
.wrap { max-width: 1120px; margin: 0 auto; padding: 0 24px }
a { color: var(--link); text-underline-offset: 2px }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px }
h1 { font-size: clamp(1.7rem, 4vw, 2.35rem); line-height: 1.15; letter-spacing: -.02em; margin: .3rem 0 .5rem }
h2 { font-size: 1.35rem; letter-spacing: -.01em; line-height: 1.25; margin: 0 0 .35rem }
h3 { font-size: 1rem; margin: 0 0 .5rem }
p { margin: 0 0 .8rem; max-width: 76ch }
.soft { color: var(--soft) }
.eyebrow { margin: 0; color: var(--soft); font-size: .8rem; font-weight: 600; letter-spacing: .07em;
  text-transform: uppercase }
header.wrap { padding-top: 40px; padding-bottom: 8px }
.subtitle { font-size: 1.1rem; color: var(--soft); margin: 0 0 .6rem }
.cite { font-size: .9rem; color: var(--soft) }
.warning { border: 1px solid var(--warn-line); border-left-width: 5px; background: var(--warn-back);
  color: var(--warn-ink); border-radius: 6px; padding: .7rem 1rem; margin: 1.1rem 0; max-width: none }
nav { position: sticky; top: 0; z-index: 2; background: var(--page); border-bottom: 1px solid var(--line) }
nav ul { display: flex; gap: 1.4rem; list-style: none; margin: 0; padding: .7rem 0; overflow-x: auto;
  font-size: .9rem; white-space: nowrap; scrollbar-width: none }
nav a { color: var(--soft); text-decoration: none }
nav a:hover { color: var(--ink); text-decoration: underline }
section { padding: 36px 0 8px } #result { padding-top: 8px }
section > .lead { color: var(--soft); margin-bottom: 1.1rem }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px;
  margin: 0 0 16px }

.cards { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px; margin: 1.4rem 0 }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px 14px;
  margin: 0; display: flex; flex-direction: column }
.card dt { font-size: .88rem; color: var(--soft) }
.card dt b { color: var(--ink); margin-right: .35rem }
.card dd { margin: 0 }
.card .value { font-size: 2.05rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.25 }
.card .small { font-size: .82rem; color: var(--soft); line-height: 1.45 }
.card .versus { margin-top: auto; padding-top: .45rem }
.bar { position: relative; height: 8px; border-radius: 4px; background: var(--track); margin: .5rem 0 .3rem }
.bar i { position: absolute; display: block }
.bar .fill { inset: 0 auto 0 0; border-radius: 4px; background: var(--tone); opacity: .5 }
.bar .interval { top: -3px; bottom: -3px; min-width: 3px; border-radius: 2px; background: var(--tone) }
.bar .mark { top: -5px; bottom: -5px; width: 2px; margin-left: -1px; background: var(--ink) }
.ends { display: flex; justify-content: space-between; font-size: .72rem; color: var(--soft); margin-bottom: .35rem }
.clean { --tone: var(--series-1) } .attack { --tone: var(--series-2) } .stealth { --tone: var(--series-3) }
.tick { display: inline-block; width: 2px; height: .8em; background: var(--ink); margin-right: .4rem;
  vertical-align: -.06em }

.reading { border-left: 4px solid var(--tone) } .reading h2 { margin: 0; line-height: 1 }
.reading p { margin: 0 0 .55rem; max-width: none; color: var(--soft) } .reading p:last-child { margin: 0 }
.reading strong { color: var(--ink); font-weight: 600 } .reading p:last-child { font-size: .9rem }
.badge { display: inline-block; border-radius: 99px; padding: .12rem .7rem; font-size: .82rem; font-weight: 600;
  white-space: nowrap }
.badge.hit { color: var(--bad); background: var(--bad-back) } .badge.miss { color: var(--good);
  background: var(--good-back) } .badge.plain { color: var(--soft); background: var(--track) }
.reading .badge { margin-bottom: .6rem; font-size: .9rem }

table { border-collapse: collapse; width: 100%; font-size: .92rem }
caption { text-align: left; color: var(--soft); font-size: .88rem; padding-bottom: .5rem }
th, td { text-align: left; padding: .45rem .9rem .45rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top }
tbody tr:last-child > * { border-bottom: 0 }
thead th { color: var(--soft); font-weight: 600; font-size: .84rem; vertical-align: bottom }
tbody th { font-weight: 500 }
.number { text-align: right; white-space: nowrap }
.scroll { overflow-x: auto }
.facts th { width: 40%; color: var(--soft); font-weight: 400 }
.two { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px }
.two > .panel { margin: 0 }
.two { margin-bottom: 16px }
figure { margin: 0 }
figcaption { font-size: .86rem; color: var(--soft) }
.chart svg { display: block; width: 100%; height: auto }
.confusions { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px; margin-bottom: 16px }
.confusions.large { grid-template-columns: 1fr }
.confusions.large svg { max-width: 780px; margin: 0 auto }
.confusions .panel { margin: 0; padding: 16px }
.confusions h3 { margin-bottom: .1rem }
.confusions figcaption { margin-bottom: .6rem }

.example h3 { display: flex; flex-wrap: wrap; gap: .4rem .7rem; align-items: center; font-weight: 500;
  margin-bottom: .8rem }
.example h3 strong { font-size: 1.05rem }
.row { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 12px }
.row img { display: block; width: 100%; height: auto; image-rendering: pixelated; border-radius: 4px;
  background: var(--track) }
.row figcaption { text-align: center; padding-top: .3rem }
details > summary { cursor: pointer; color: var(--link); font-size: .92rem; padding: .2rem 0 }
.counts { font-size: .78rem; width: auto } .counts th, .counts td { padding: .2rem .5rem; white-space: nowrap }
pre { margin: 0; overflow-x: auto; font: .85rem/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas,
  'DejaVu Sans Mono', monospace; white-space: pre-wrap; overflow-wrap: anywhere }
footer { border-top: 1px solid var(--line); margin-top: 40px; padding: 20px 0 44px; font-size: .86rem;
  color: var(--soft) }

@media (max-width: 860px) { .cards, .two, .confusions { grid-template-columns: repeat(2, minmax(0, 1fr)) }
  .row { grid-template-columns: repeat(3, minmax(0, 1fr)) } .two, .confusions { grid-template-columns: 1fr } }
@media (max-width: 520px) { .wide svg { min-width: 680px } .cards { grid-template-columns: 1fr } .wrap { padding: 0 16px } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
@media print {
  @page { margin: 14mm }
  :root { color-scheme: light; --page: #ffffff }
  body { font-size: 10.5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact }
  nav, details { display: none }
  .wrap { max-width: none; padding: 0 }
  header.wrap { padding-top: 0 } section { padding-top: 20px }
  .cards { grid-template-columns: repeat(3, minmax(0, 1fr)) } .row { grid-template-columns: repeat(6, 1fr) }
  .confusions:not(.large) { grid-template-columns: repeat(3, minmax(0, 1fr)) }
  .two { grid-template-columns: repeat(2, minmax(0, 1fr)) }
  .card, .panel, figure, tr { break-inside: avoid } h2, h3, .lead { break-after: avoid }
}
`
