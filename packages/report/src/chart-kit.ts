import { BarChart, CustomChart, LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent } from 'echarts/components'
import { type EChartsCoreOption, init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'

use([BarChart, CustomChart, LineChart, GridComponent, LegendComponent, SVGRenderer])

/**
 * Colours that the page around a chart may set, so that one drawing suits light and dark; the fallback, for a chart on
 * its own, is readable on both. Hues are from Okabe and Ito's palette, which colour-blind readers can distinguish.
 */
export const INK = 'var(--chart-ink, #7a808a)'
export const STRONG = 'var(--ink, #7a808a)'
export const FAINT = 'var(--chart-grid, #8884)'
export const EMPTY = 'var(--chart-empty, #88888814)'
export const SERIES = [
  'var(--series-1, #2b8cc4)',
  'var(--series-2, #d9651b)',
  'var(--series-3, #14a37a)',
  'var(--series-4, #c56fa0)',
] as const

/** What a mark is about: clean data and clean training, or the attack. */
export type Tone = 'clean' | 'attack'
export const TONES: Record<Tone, string> = { clean: SERIES[0], attack: SERIES[1] }

export const FONT_SIZE = 12
/** Single quotes only: echarts writes it into a double-quoted attribute as it is. */
export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

/** The id, size and description of a chart; pages scale it. */
export interface ChartFrame {
  /** Unique on its page: SVG's ids are shared by all drawings inline on one page. */
  readonly id: string
  readonly width: number
  readonly height: number
  /** Read out in place of the drawing. */
  readonly description: string
}

/** Draws an option as an SVG document with transparent background. */
export function drawChart(frame: ChartFrame, option: EChartsCoreOption): string {
  const { width, height } = frame
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  try {
    chart.setOption({
      animation: false,
      backgroundColor: 'transparent',
      textStyle: { fontFamily: FONT, fontSize: FONT_SIZE, color: INK },
      ...option,
    })
    return finish(chart.renderToSVGString(), frame)
  } finally {
    chart.dispose()
  }
}

/** A value axis in the house style: hair-line grid, no axis line. */
export function valueAxis(name: string): Record<string, unknown> {
  return {
    type: 'value',
    name,
    nameTextStyle: { color: INK, fontSize: FONT_SIZE },
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { color: INK, fontSize: FONT_SIZE },
    splitLine: { lineStyle: { color: FAINT } },
  }
}

/**
 * Makes ids the page's own and the same in every process, leaves out what only a live chart needs (hover classes
 * numbered by a global counter, data marks), and gives the drawing its description.
 */
function finish(svg: string, { id, description }: ChartFrame): string {
  return svg
    .replaceAll(/<style ?><!\[CDATA\[.*?\]\]>\s*<\/style>/gs, '')
    .replaceAll(/ (?:class|ecmeta_\w+)="[^"]*"/g, '')
    .replaceAll(/\bzr\d+-/g, `${id}-`)
    .replace('<svg ', () => `<svg role="img" aria-label="${escapeAttribute(description)}" `)
}

function escapeAttribute(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
