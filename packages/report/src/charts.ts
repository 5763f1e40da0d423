/** The charts of a report: each takes plain data and gives an SVG document. */
export { type ConfusionPicture, confusionChart, MANY_CLASSES } from './confusion-chart.js'
export { accuracyChart, lossChart } from './curve-charts.js'
export { type RateRow, ratesChart } from './rates-chart.js'
