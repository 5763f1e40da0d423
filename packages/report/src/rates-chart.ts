import type { Rate } from '@ageb/lab'
import type {
  CustomSeriesRenderItemAPI,
  CustomSeriesRenderItemParams,
  CustomSeriesRenderItemReturn,
} from 'echarts'
import { drawChart, FONT, FONT_SIZE, INK, STRONG, TONES, type Tone, valueAxis } from './chart-kit.js'
import { percent, rateInFull, rateInterval } from './format.js'

/** One bar of a rates chart. */
export interface RateRow {
  readonly label: string
  readonly rate: Rate
  readonly tone: Tone
}

/** Horizontal bars with 95 % intervals as whiskers, the numbers at the right. Rates without images are left out. */
export function ratesChart(rows: readonly RateRow[]): string {
  const shown = rows.filter(({ rate }) => rate.n > 0)
  return drawChart(
    {
      id: 'rates',
      width: 860,
      height: 44 + 40 * shown.length,
      description: shown.map(({ label, rate }) => `${label}: ${rateInFull(rate)}.`).join(' '),
    },
    {
      grid: { left: 190, right: NUMBERS_WIDTH, top: 6, bottom: 30 },
      xAxis: {
        ...valueAxis(''),
        min: 0,
        max: 100,
        interval: 20,
        axisLabel: { color: INK, fontSize: FONT_SIZE, formatter: '{value} %' },
      },
      yAxis: {
        type: 'category',
        inverse: true,
        axisLine: { show: false },
        axisTick: { show: false },
        data: shown.map(({ label }) => label),
        axisLabel: { color: INK, fontSize: 13, margin: 14 },
      },
      series: [
        {
          type: 'bar',
          silent: true,
          barWidth: 16,
          data: shown.map(({ rate, tone }) => ({
            value: 100 * rate.value,
            itemStyle: { color: TONES[tone], opacity: 0.75, borderRadius: [0, 3, 3, 0] },
          })),
        },
        {
          type: 'custom',
          silent: true,
          z: 5,
          renderItem: intervalMark(shown),
          encode: { x: [1, 2], y: 0 },
          data: shown.map(({ rate }, i) => [i, 100 * rate.low, 100 * rate.high]),
        },
      ],
    },
  )
}

/** Room for the numbers at the right of the bars. */
const NUMBERS_WIDTH = 204

/** The whisker of one bar, and its numbers in two columns at the right. */
function intervalMark(rows: readonly RateRow[]) {
  return (
    { dataIndex }: CustomSeriesRenderItemParams,
    api: CustomSeriesRenderItemAPI,
  ): CustomSeriesRenderItemReturn => {
    const { rate } = rows[dataIndex]!
    const [low, y] = api.coord([api.value(1), api.value(0)]) as [number, number]
    const [high] = api.coord([api.value(2), api.value(0)]) as [number, number]
    const right = api.getWidth() - NUMBERS_WIDTH
    const stroke = { stroke: STRONG, lineWidth: 1.5 }
    const line = (x1: number, y1: number, x2: number, y2: number) => ({
      type: 'line' as const,
      shape: { x1, y1, x2, y2 },
      style: stroke,
    })
    const text = (
      content: string,
      x: number,
      style: { fill: string; fontSize: number; fontWeight: number },
    ) => ({
      type: 'text' as const,
      style: {
        ...style,
        fontFamily: FONT,
        text: content,
        x,
        y,
        align: 'right' as const,
        verticalAlign: 'middle' as const,
      },
    })
    return {
      type: 'group',
      children: [
        line(low, y, high, y),
        line(low, y - 6, low, y + 6),
        line(high, y - 6, high, y + 6),
        text(percent(rate.value, rate.n), right + 84, { fill: STRONG, fontSize: 13, fontWeight: 600 }),
        text(rateInterval(rate), right + 194, { fill: INK, fontSize: FONT_SIZE, fontWeight: 400 }),
      ],
    }
  }
}
