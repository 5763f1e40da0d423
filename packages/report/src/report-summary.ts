import type { Mean, Rate } from '@ageb/lab'
import { html } from 'hono/html'
import type { Tone } from './chart-kit.js'
import {
  count,
  decimal,
  meanInterval,
  percent,
  rateInFull,
  rateInterval,
  sampleSize,
  suffix,
} from './format.js'
import { readResult } from './reading.js'
import type { ReportInput } from './report-input.js'

/** A piece of the page; `hono/html` has escaped what was put into it. */
export type Html = ReturnType<typeof html>

/** The key numbers and their meaning, at the top of the page. */
export function summary(input: ReportInput): Html {
  const { rates, cleanCda, stealth } = input
  return html`<dl class="cards">
    ${rateCard('CDA', 'accuracy on clean images', rates.cda, 'clean', { name: 'clean twin', rate: cleanCda })}
    ${rateCard('ASR', 'triggered images predicted as the target', rates.asr, 'attack', {
      name: 'without trigger (base rate)',
      rate: rates.baseRate,
    })}
    ${rateCard('RA', 'triggered images still predicted correctly', rates.ra, 'attack')}
    ${meanCard('PSNR', 'triggered image compared with clean', stealth.psnr, { digits: 1, unit: 'dB', from: 0, to: 60 })}
    ${meanCard('SSIM', 'structural similarity', stealth.ssim, { digits: 4, unit: '', from: 0, to: 1 })}
    ${meanCard('Mean |Δ|', 'change of a pixel value, out of 255', stealth.meanAbs, { digits: 2, unit: '', from: 0, to: 16 })}
  </dl>
  ${reading(input)}`
}

function reading(input: ReportInput): Html {
  const { verdict, headline, findings, cautions } = readResult(input)
  const took = verdict === 'learned' || verdict === 'partly'
  const badge = took ? 'hit' : verdict === 'not-shown' ? 'miss' : 'plain'
  return html`<div class="panel reading ${took ? 'attack' : 'clean'}">
    <h2><span class="badge ${badge}">${headline}</span></h2>
    ${findings.map(({ claim, evidence }) => html`<p><strong>${claim}</strong> ${evidence}</p>`)}
    <p class="soft">${cautions.join(' ')}</p>
  </div>`
}

/** A rate on a track from 0 to 100 %: filled to the value, the interval solid, the rate to compare with a mark. */
function rateCard(
  short: string,
  long: string,
  rate: Rate,
  tone: Tone,
  versus?: { readonly name: string; readonly rate: Rate },
): Html {
  const measured = rate.n > 0
  return html`<div class="card ${tone}">
    <dt><b>${short}</b>${long}</dt>
    <dd class="value">${measured ? percent(rate.value, rate.n) : '–'}</dd>
    <dd class="small">${measured ? `95 %: ${rateInterval(rate)}, ${sampleSize(rate.n)}` : 'not measured'}</dd>
    <dd>${bar(rate, versus?.rate)}${ends('0 %', '100 %')}</dd>
    ${
      versus && versus.rate.n > 0
        ? html`<dd class="small versus"><span class="tick" aria-hidden="true"></span>${versus.name}
            ${percent(versus.rate.value, versus.rate.n)} (${rateInterval(versus.rate)}, ${sampleSize(versus.rate.n)})</dd>`
        : ''
    }
  </div>`
}

function meanCard(
  short: string,
  long: string,
  mean: Mean,
  scale: { readonly digits: number; readonly unit: string; readonly from: number; readonly to: number },
): Html {
  const { digits, unit, from, to } = scale
  const onTrack = (value: number) => (value - from) / (to - from)
  const track = { value: onTrack(mean.value), low: onTrack(mean.low), high: onTrack(mean.high), n: mean.n }
  const measured = mean.n > 0
  return html`<div class="card stealth">
    <dt><b>${short}</b>${long}</dt>
    <dd class="value">${measured ? `${decimal(mean.value, digits)}${suffix(unit)}` : '–'}</dd>
    <dd class="small">${measured ? `95 %: ${meanInterval(mean, digits, unit)}, ${sampleSize(mean.n)}` : 'not measured'}</dd>
    <dd>${bar(track)}${ends(`${from}${suffix(unit)}`, `${to}${suffix(unit)}`)}</dd>
  </div>`
}

/** Decoration: the numbers are beside it as text. */
function bar(rate: Pick<Rate, 'value' | 'low' | 'high' | 'n'>, mark?: Pick<Rate, 'value' | 'n'>): Html {
  if (!(rate.n > 0)) return html`<div class="bar" aria-hidden="true"></div>`
  const [value, low, high] = [share(rate.value), share(rate.low), share(rate.high)]
  return html`<div class="bar" aria-hidden="true">
    <i class="fill" style="width:${value}%"></i>
    <i class="interval" style="left:${low}%;width:${decimal(Number(high) - Number(low), 2)}%"></i>
    ${mark && mark.n > 0 ? html`<i class="mark" style="left:${share(mark.value)}%"></i>` : ''}
  </div>`
}

function ends(from: string, to: string): Html {
  return html`<div class="ends" aria-hidden="true"><span>${from}</span><span>${to}</span></div>`
}

/** A share as percent of a track, kept on it. */
function share(value: number): string {
  return (100 * Math.min(1, Math.max(0, Number.isNaN(value) ? 0 : value))).toFixed(2)
}

/** One row of the table of rates. */
export function rateTableRow(name: string, meaning: string, rate: Rate): Html {
  const measured = rate.n > 0
  return html`<tr><th scope="row">${name}</th><td class="soft">${meaning}</td>
    <td class="number" title="${measured ? rateInFull(rate) : ''}">${measured ? percent(rate.value, rate.n) : '–'}</td>
    <td class="number">${measured ? rateInterval(rate) : '–'}</td>
    <td class="number">${count(rate.successes)} of ${count(rate.n)}</td></tr>`
}
