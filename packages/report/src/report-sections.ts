import type { Confusion, Mean, TrainingCurve } from '@ageb/lab'
import { html, raw } from 'hono/html'
import { base64 } from './base64.js'
import type { Tone } from './chart-kit.js'
import { accuracyChart, confusionChart, lossChart, MANY_CLASSES, type RateRow, ratesChart } from './charts.js'
import { count, dateTime, decimal, duration, meanInterval, percent, sampleSize, suffix } from './format.js'
import type { GalleryEntry, ReportConfusion, ReportInput } from './report-input.js'
import { type Html, rateTableRow } from './report-summary.js'

/** One section of the page; `id` is its anchor. */
export interface Section {
  readonly id: string
  readonly title: string
  readonly body: Html
}

/** All sections in reading order; those without data are left out. */
export function sections(input: ReportInput): readonly Section[] {
  return [
    { id: 'rates', title: 'Rates', body: ratesSection(input) },
    { id: 'stealth', title: 'Stealth', body: stealthSection(input) },
    ...(input.gallery.length > 0 ? [{ id: 'gallery', title: 'Gallery', body: gallerySection(input) }] : []),
    { id: 'confusion', title: 'Confusion', body: confusionSection(input) },
    ...(input.training.length > 0
      ? [{ id: 'training', title: 'Training', body: trainingSection(input) }]
      : []),
    { id: 'data', title: 'Data and poison', body: dataSection(input) },
    { id: 'reproduce', title: 'Reproduce', body: reproduceSection(input) },
  ]
}

function ratesSection({ rates, cleanCda, cleanAsr }: ReportInput): Html {
  const rows: RateRow[] = [
    { label: 'CDA, clean twin', rate: cleanCda, tone: 'clean' },
    { label: 'CDA, victim', rate: rates.cda, tone: 'clean' },
    { label: 'Base rate (no trigger)', rate: rates.baseRate, tone: 'attack' },
    { label: 'ASR, victim', rate: rates.asr, tone: 'attack' },
    { label: 'ASR, clean twin', rate: cleanAsr, tone: 'attack' },
    { label: 'RA, victim', rate: rates.ra, tone: 'attack' },
  ]
  return html`<p class="lead">Shares of test images. Whiskers and brackets are 95 % Wilson intervals.</p>
  <figure class="panel chart scroll wide">${raw(ratesChart(rows))}</figure>
  <div class="panel scroll"><table>
    <thead><tr><th scope="col">Rate</th><th scope="col">What it counts</th><th scope="col" class="number">Value</th>
      <th scope="col" class="number">95 % interval</th><th scope="col" class="number">Images</th></tr></thead>
    <tbody>
      ${rateTableRow('CDA, clean twin', 'clean images predicted as their true class; the same training without poison', cleanCda)}
      ${rateTableRow('CDA, victim', 'clean images predicted as their true class', rates.cda)}
      ${rateTableRow('Base rate', 'images of other classes than the target, without the trigger, predicted as the target', rates.baseRate)}
      ${rateTableRow('ASR, victim', 'the same images with the trigger, predicted as the target', rates.asr)}
      ${rateTableRow('ASR, clean twin', 'the same triggered images, predicted as the target', cleanAsr)}
      ${rateTableRow('RA, victim', 'the same triggered images, predicted as their true class', rates.ra)}
    </tbody></table></div>`
}

function stealthSection({ stealth }: ReportInput): Html {
  const row = (name: string, meaning: string, mean: Mean, digits: number, unit = '') =>
    html`<tr><th scope="row">${name}</th><td class="soft">${meaning}</td>
      <td class="number">${mean.n > 0 ? `${decimal(mean.value, digits)}${suffix(unit)}` : '–'}</td>
      <td class="number">${mean.n > 0 ? meanInterval(mean, digits, unit) : '–'}</td>
      <td class="number">${count(mean.n)}</td></tr>`
  return html`<p class="lead">How much the trigger changes an image: the triggered image compared with the clean one, both rounded to 8 bits.
    Means over images.</p>
  <div class="panel scroll"><table>
    <thead><tr><th scope="col">Measure</th><th scope="col">Meaning</th><th scope="col" class="number">Mean</th>
      <th scope="col" class="number">95 % interval</th><th scope="col" class="number">n</th></tr></thead>
    <tbody>
      ${row('PSNR', 'peak signal-to-noise ratio; higher is closer', stealth.psnr, 2, 'dB')}
      ${row('SSIM', 'structural similarity; 1 is identical', stealth.ssim, 4)}
      ${row('L∞', 'largest change of a pixel value, out of 255', stealth.linf, 1)}
      ${row('Mean |Δ|', 'mean absolute change of a pixel value, out of 255', stealth.meanAbs, 2)}
    </tbody></table></div>`
}

function gallerySection({ gallery, poisoning }: ReportInput): Html {
  return html`<p class="lead">Test images with every stage of the trigger. Each small square is one pixel. The badges show
    what the victim and its clean twin predict for the triggered image.</p>
  ${gallery.map(entry => example(entry, entry.target ?? poisoning.target))}`
}

function example({ label, victimPredicts, twinPredicts, images }: GalleryEntry, target: string): Html {
  const hit = (predicted: string) => predicted === target && label !== target
  const badge = (predicted: string) => (hit(predicted) ? 'hit' : predicted === label ? 'miss' : 'plain')
  return html`<article class="panel example">
    <h3><strong>${label}</strong>
      <span class="badge ${badge(victimPredicts)}">victim: ${victimPredicts}${hit(victimPredicts) ? ' (target)' : ''}</span>
      <span class="badge ${badge(twinPredicts)}">clean twin: ${twinPredicts}${hit(twinPredicts) ? ' (target)' : ''}</span></h3>
    <div class="row">${images.map(
      ({ name, png }) => html`<figure>
        <img src="data:image/png;base64,${base64(png)}" alt="${name}, image of class ${label}">
        <figcaption>${name}</figcaption></figure>`,
    )}</div>
  </article>`
}

/** With more classes than this, cells are too small to see and too many for a page: the worst confusions are listed. */
const MOST_CELLS_A_SIDE = 100
const LISTED = 20

function confusionSection({ confusion }: ReportInput): Html {
  const { classNames } = confusion
  if (classNames.length > MOST_CELLS_A_SIDE) return confusionLists(confusion)
  const matrix = (id: string, title: string, subject: string, counts: Confusion, tone: Tone) =>
    html`<figure class="panel chart"><h3>${title}</h3>
      <figcaption>${subject}, ${sampleSize(counts.flat().reduce((sum, n) => sum + n, 0))}</figcaption>
      ${raw(confusionChart({ id, counts, classNames, tone, subject }))}</figure>`
  const large = classNames.length > MANY_CLASSES
  return html`<p class="lead">Each row is a true class. Each cell is the share of the row that was predicted as the column’s class${
    large ? '' : ', in percent (shares below 0.5 % have no number)'
  }. Cells without images are grey.</p>
  <div class="confusions ${large ? 'large' : ''}">
    ${matrix('before', 'Before', 'Clean twin, clean images', confusion.before, 'clean')}
    ${matrix('victim-clean', 'After, no trigger', 'Victim, clean images', confusion.victimClean, 'clean')}
    ${matrix('victim-triggered', 'After, triggered', 'Victim, triggered images', confusion.victimTriggered, 'attack')}
  </div>
  ${countsTable('Victim on triggered images, as counts', confusion.victimTriggered, classNames)}`
}

function confusionLists({ classNames, ...matrices }: ReportConfusion): Html {
  const list = (title: string, counts: Confusion) => {
    const pairs = counts.flatMap((row, label) =>
      row.flatMap((n, predicted) => (n > 0 && predicted !== label ? [{ n, label, predicted }] : [])),
    )
    const worst = pairs.toSorted((a, b) => b.n - a.n).slice(0, LISTED)
    return html`<div class="panel scroll"><h3>${title}</h3><table>
      <thead><tr><th scope="col">True class</th><th scope="col">Predicted</th><th scope="col" class="number">Images</th></tr></thead>
      <tbody>${worst.map(
        ({ n, label, predicted }) =>
          html`<tr><td>${classNames[label] ?? label}</td><td>${classNames[predicted] ?? predicted}</td><td class="number">${count(n)}</td></tr>`,
      )}</tbody></table></div>`
  }
  return html`<p class="lead">The ${LISTED} most frequent confusions of ${count(classNames.length)} classes; all of them are
    in <code>predictions.parquet</code> beside this report.</p>
  ${list('Before: clean twin, clean images', matrices.before)}
  ${list('After: victim, clean images', matrices.victimClean)}
  ${list('After: victim, triggered images', matrices.victimTriggered)}`
}

function countsTable(title: string, counts: Confusion, classNames: readonly string[]): Html {
  return html`<details><summary>${title}</summary><div class="scroll"><table class="counts">
    <caption>Rows: true class. Columns: predicted class.</caption>
    <thead><tr><td></td>${classNames.map(name => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
    <tbody>${counts.map(
      (row, i) =>
        html`<tr><th scope="row">${classNames[i] ?? `class ${i}`}</th>${row.map(n => html`<td class="number">${n}</td>`)}</tr>`,
    )}</tbody></table></div></details>`
}

function trainingSection({ training }: ReportInput): Html {
  const evaluated = training.some(({ evaluations }) => evaluations.length > 0)
  const on = [...new Set(training.flatMap(t => (t.evaluatedOn ? [t.evaluatedOn] : [])))]
  return html`<p class="lead">Thin lines are single steps, thick lines are means over neighbouring steps.${
    on.length > 0 ? ` Accuracy is measured on ${on.join('; ')}.` : ''
  }</p>
  <div class="two">
    <figure class="panel chart"><h3>Training loss</h3>${raw(lossChart(training))}</figure>
    ${evaluated ? html`<figure class="panel chart"><h3>Validation accuracy</h3>${raw(accuracyChart(training))}</figure>` : ''}
  </div>
  <div class="panel scroll"><table>
    <thead><tr><th scope="col">Training</th><th scope="col" class="number">Steps</th>
      <th scope="col" class="number">Highest learning rate</th><th scope="col" class="number">Loss, last tenth of steps</th>
      <th scope="col" class="number">Best accuracy</th><th scope="col" class="number">Last accuracy</th></tr></thead>
    <tbody>${training.map(trainingRow)}</tbody></table></div>`
}

function trainingRow({ name, steps, evaluations }: TrainingCurve): Html {
  const tail = steps.slice(-Math.ceil(steps.length / 10))
  const loss = tail.reduce((sum, step) => sum + step.loss, 0) / tail.length
  const highest = steps.reduce((max, step) => Math.max(max, step.learningRate), 0)
  const best = evaluations.reduce((max, { accuracy }) => Math.max(max, accuracy), Number.NEGATIVE_INFINITY)
  return html`<tr><th scope="row">${name}</th><td class="number">${count(steps.length)}</td>
    <td class="number">${highest > 0 ? Number(highest.toPrecision(3)).toString() : '–'}</td>
    <td class="number">${decimal(loss, 4)}</td>
    <td class="number">${percent(best)}</td><td class="number">${percent(evaluations.at(-1)?.accuracy ?? Number.NaN)}</td></tr>`
}

function dataSection({ data, poisoning }: ReportInput): Html {
  const splits = Object.entries(data.splits).map(([name, n]) => [`${name} images`, count(n)] as const)
  return html`<div class="two">
    <div class="panel"><h3>Data</h3>${facts([['data set', data.name], ...splits])}
      ${data.notes.length > 0 ? html`<ul class="soft">${data.notes.map(note => html`<li>${note}</li>`)}</ul>` : ''}</div>
    <div class="panel"><h3>Poison</h3>${facts([
      ['mode', poisoning.mode],
      ['target', poisoning.target],
      ['share of the training set', percent(poisoning.rate)],
      ['images poisoned', count(poisoning.count)],
      ...(poisoning.cover > 0 ? [['cover images', count(poisoning.cover)] as const] : []),
      ...unchangedFacts(poisoning),
      ...(poisoning.resizing ? [['resized for the surrogate', poisoning.resizing] as const] : []),
    ])}</div>
  </div>`
}

function unchangedFacts({ unchanged }: ReportInput['poisoning']): (readonly [string, string])[] {
  if (!unchanged) return []
  const { poison, test } = unchanged
  const shown = (effect: typeof poison) => `${count(effect.unchanged)} of ${count(effect.count)}`
  return [
    ['poisoned images that the trigger left unchanged', shown(poison)],
    ['attacked test images that it left unchanged', shown(test)],
  ]
}

function reproduceSection(input: ReportInput): Html {
  const took = duration(input.startedAt, input.finishedAt)
  const times: [string, string][] = [
    ['started', dateTime(input.startedAt)],
    ['finished', dateTime(input.finishedAt)],
    ...(took ? [['took', took] as [string, string]] : []),
  ]
  return html`<div class="panel"><h3>Command</h3><pre tabindex="0"><code>${input.command}</code></pre></div>
  <div class="two">
    <div class="panel"><h3>Environment</h3>${facts(Object.entries(input.environment))}</div>
    <div class="panel"><h3>Speed and time</h3>${facts([...Object.entries(input.speed), ...times])}</div>
  </div>
  <div class="panel"><h3>Resolved configuration</h3><pre tabindex="0"><code>${input.configuration}</code></pre></div>`
}

function facts(rows: readonly (readonly [string, string])[]): Html {
  return html`<table class="facts"><tbody>${rows.map(
    ([key, value]) => html`<tr><th scope="row">${key}</th><td>${value}</td></tr>`,
  )}</tbody></table>`
}
