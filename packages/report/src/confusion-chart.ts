import type { Confusion } from '@ageb/lab'
import type {
  CustomSeriesRenderItemAPI,
  CustomSeriesRenderItemParams,
  CustomSeriesRenderItemReturn,
} from 'echarts'
import { drawChart, EMPTY, FAINT, FONT, INK, STRONG, TONES, type Tone } from './chart-kit.js'

/** A confusion matrix to draw. */
export interface ConfusionPicture {
  /** Unique on its page. */
  readonly id: string
  readonly counts: Confusion
  readonly classNames: readonly string[]
  readonly tone: Tone
  /** The beginning of the description: `The victim on clean test images`. */
  readonly subject: string
}

/** From this many classes on, a confusion matrix is drawn large and without numbers in its cells. */
export const MANY_CLASSES = 16

/** A confusion matrix as a heat map: each cell the share of its row, in whole percent. */
export function confusionChart({ id, counts, classNames, tone, subject }: ConfusionPicture): string {
  const classes = classNames.length
  const many = classes > MANY_CLASSES
  const names = classNames.map(name => shorten(name, many ? 24 : 14))
  const margin = 26 + 5.6 * Math.max(4, ...names.map(name => name.length))
  const inner = many ? Math.max(560, classes * 13) : Math.max(200, classes * 22)
  const cells = counts.flatMap((row, i) => {
    const total = row.reduce((sum, n) => sum + n, 0)
    return row.flatMap((n, j) => (n > 0 ? [[j, i, n / total]] : []))
  })
  const axis = {
    type: 'category',
    data: names,
    axisTick: { show: false },
    axisLine: { lineStyle: { color: FAINT } },
    splitLine: { show: false },
    nameLocation: 'middle',
    nameGap: margin - 12,
    nameTextStyle: { color: INK, fontSize: 11, fontStyle: 'italic' },
  }
  const axisLabel = { color: INK, fontSize: many ? 9 : 11, interval: 0 }
  return drawChart(
    {
      id,
      width: Math.ceil(margin + inner + 4),
      height: Math.ceil(margin + inner + 4),
      description: `${subject}: ${diagonalSummary(counts)}`,
    },
    {
      grid: {
        left: margin,
        right: 4,
        top: 4,
        bottom: margin,
        show: true,
        backgroundColor: EMPTY,
        borderWidth: 0,
      },
      xAxis: { ...axis, name: 'predicted class', axisLabel: { ...axisLabel, rotate: 90 } },
      yAxis: { ...axis, name: 'true class', inverse: true, axisLabel },
      series: [
        {
          type: 'custom',
          silent: true,
          clip: true,
          renderItem: confusionCell(TONES[tone], !many),
          encode: { x: 0, y: 1 },
          data: cells,
        },
      ],
    },
  )
}

/** Draws one cell; the colour's opacity is the share, so that the same drawing suits light and dark pages. */
function confusionCell(color: string, numbers: boolean) {
  return (
    _params: CustomSeriesRenderItemParams,
    api: CustomSeriesRenderItemAPI,
  ): CustomSeriesRenderItemReturn => {
    const share = Number(api.value(2))
    const [x, y] = api.coord([api.value(0), api.value(1)]) as [number, number]
    const [width, height] = api.size!([1, 1]) as [number, number]
    const shape = {
      x: x - width / 2 + 0.5,
      y: y - height / 2 + 0.5,
      width: width - 1,
      height: height - 1,
      r: 2,
    }
    const cell = { type: 'rect' as const, shape, style: { fill: color, opacity: 0.08 + 0.92 * share } }
    const text = Math.round(100 * share)
    if (!numbers || text === 0) return cell
    const fill = share > 0.5 ? 'var(--on-series, #fff)' : STRONG
    const style = {
      text: String(text),
      x,
      y,
      fill,
      fontSize: 11,
      fontFamily: FONT,
      align: 'center',
      verticalAlign: 'middle',
    } as const
    return { type: 'group', children: [cell, { type: 'text', style }] }
  }
}

function shorten(name: string, length: number): string {
  return name.length > length ? `${name.slice(0, length - 1).trimEnd()}…` : name
}

function diagonalSummary(counts: Confusion): string {
  const total = counts.flat().reduce((sum, n) => sum + n, 0)
  const correct = counts.reduce((sum, row, i) => sum + (row[i] ?? 0), 0)
  return `${correct} of ${total} images predicted as their true class.`
}
