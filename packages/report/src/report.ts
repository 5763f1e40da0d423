import { html, raw } from 'hono/html'
import type { ReportInput } from './report-input.js'
import { sections } from './report-sections.js'
import { REPORT_STYLE } from './report-style.js'
import { type Html, summary } from './report-summary.js'

/**
 * A run as one HTML file: pictures and charts are inside it, it runs no script and loads nothing, so that it can be
 * kept, mailed and printed.
 *
 * @returns the document's text, UTF-8
 */
export function renderReport(input: ReportInput): string {
  const parts = sections(input)
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="description" content="${input.warning}">
<title>${input.title}</title>
<style>${raw(REPORT_STYLE)}</style>
</head>
<body>
<header class="wrap">
  <p class="eyebrow">${input.attack.name}</p>
  <h1>${input.title}</h1>
  <p class="subtitle">${input.subtitle}</p>
  <p class="cite">${citation(input)}</p>
  <p class="warning" role="note"><strong>Poisoned on purpose.</strong> ${input.warning}</p>
</header>
<nav aria-label="Sections"><ul class="wrap">
  <li><a href="#result">Result</a></li>${parts.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}
</ul></nav>
<main class="wrap">
<section id="result" aria-label="Result">${summary(input)}</section>
${parts.map(
  ({ id, title, body }) => html`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${body}
</section>`,
)}
</main>
<footer><div class="wrap">${input.warning}</div></footer>
</body>
</html>
`
  return settled(page)
}

function citation({ attack }: ReportInput): Html {
  return attack.url?.startsWith('https://')
    ? html`<a href="${attack.url}">${attack.citation}</a>`
    : html`${attack.citation}`
}

/** `hono/html` gives a promise only for templates with promises in them; a report has none. */
function settled(page: Html): string {
  if (page instanceof Promise) throw new TypeError('renderReport: a template held a promise')
  return page.toString()
}
