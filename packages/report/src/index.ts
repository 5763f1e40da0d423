export * from './charts.js'
export * from './from-record.js'
export * from './report.js'
export * from './report-input.js'
