import type { TrainingCurve } from '@ageb/lab'
import { drawChart, FONT_SIZE, INK, SERIES, valueAxis } from './chart-kit.js'
import { count, percent } from './format.js'

const CURVE_SIZE = { width: 520, height: 300 }
const DASHES = ['solid', [6, 4], [2, 3], [10, 4, 2, 4]] as const
const SYMBOLS = ['circle', 'diamond', 'triangle', 'rect'] as const
/** More points than this are more than a curve of this width can show. */
const MAX_POINTS = 240

/** Loss by step, one curve per training: thin lines are single steps (not all are drawn), thick lines are means over neighbouring steps. */
export function lossChart(trainings: readonly TrainingCurve[]): string {
  const description = `Loss by step. ${trainings.map(lossSummary).join(' ')}`
  const series = trainings.flatMap(({ name, steps }, i) => {
    const shown = steps.filter(({ loss }) => Number.isFinite(loss))
    const color = SERIES[i % SERIES.length]!
    const points = shown.map(({ step, loss }) => [step, loss] as const)
    const line = {
      type: 'line',
      symbol: SYMBOLS[i % 4],
      showSymbol: false,
      silent: true,
      itemStyle: { color },
    }
    return [
      { ...line, data: thin(points), lineStyle: { color, width: 1, opacity: 0.4 } },
      { ...line, name, data: thin(smooth(points)), lineStyle: { color, width: 2, type: DASHES[i % 4] } },
    ]
  })
  return drawChart(
    { id: 'loss', ...CURVE_SIZE, description },
    {
      grid: { left: 50, right: 14, top: 56, bottom: 44 },
      legend: legend(trainings.map(({ name }) => name)),
      xAxis: {
        ...valueAxis('step'),
        axisLabel: { color: INK, fontSize: FONT_SIZE, formatter: (step: number) => count(step) },
        nameLocation: 'middle',
        nameGap: 28,
        splitLine: { show: false },
      },
      yAxis: { ...valueAxis('loss'), ...yName, min: 0 },
      series,
    },
  )
}

/** Accuracy by epoch, one curve per training. */
export function accuracyChart(trainings: readonly TrainingCurve[]): string {
  const lines = trainings.map(({ name, evaluations }, i) => ({
    name,
    type: 'line',
    silent: true,
    symbol: SYMBOLS[i % 4],
    symbolSize: 7,
    itemStyle: { color: SERIES[i % SERIES.length] },
    lineStyle: { color: SERIES[i % SERIES.length], width: 2, type: DASHES[i % 4] },
    data: evaluations.map(({ epoch, accuracy }) => [epoch, 100 * accuracy]),
  }))
  const lowest = Math.min(100, ...trainings.flatMap(t => t.evaluations.map(e => 100 * e.accuracy)))
  const description = `Accuracy by epoch. ${trainings.map(accuracySummary).join(' ')}`
  return drawChart(
    { id: 'accuracy', ...CURVE_SIZE, description },
    {
      grid: { left: 50, right: 14, top: 56, bottom: 44 },
      legend: legend(trainings.map(({ name }) => name)),
      xAxis: { ...valueAxis('epoch'), nameLocation: 'middle', nameGap: 28, splitLine: { show: false } },
      // Not from zero: late in a training the whole story is in the last few points.
      yAxis: {
        ...valueAxis('accuracy, %'),
        ...yName,
        min: Math.max(0, Math.floor((lowest - 2) / 10) * 10),
        max: 100,
      },
      series: lines,
    },
  )
}

const yName = {
  nameLocation: 'end',
  nameTextStyle: { color: INK, fontSize: FONT_SIZE, align: 'left', padding: [0, 0, 0, -42] },
}

function legend(names: readonly string[]): Record<string, unknown> {
  return {
    data: [...names],
    left: 0,
    top: 0,
    itemWidth: 26,
    itemGap: 18,
    selectedMode: false,
    textStyle: { color: INK, fontSize: FONT_SIZE },
  }
}

type Point = readonly [number, number]

/** Each point's mean with its neighbours, over about a twentieth of the curve. */
function smooth(points: readonly Point[]): Point[] {
  const reach = Math.floor(points.length / 40)
  return points.map(([x], i) => {
    const around = points.slice(Math.max(0, i - reach), i + reach + 1)
    return [x, around.reduce((sum, [, y]) => sum + y, 0) / around.length]
  })
}

/** Every k-th point and the last. */
function thin(points: readonly Point[]): Point[] {
  const every = Math.ceil(points.length / MAX_POINTS)
  return points.filter((_, i) => i % every === 0 || i === points.length - 1)
}

function lossSummary({ name, steps }: TrainingCurve): string {
  const [first, last] = [steps[0], steps.at(-1)]
  return first && last
    ? `${name}: ${first.loss.toFixed(3)} in the first step, ${last.loss.toFixed(3)} in the last.`
    : ''
}

function accuracySummary({ name, evaluations }: TrainingCurve): string {
  const last = evaluations.at(-1)
  return last ? `${name}: ${percent(last.accuracy)} at epoch ${last.epoch}.` : ''
}
