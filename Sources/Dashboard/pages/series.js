import { valueText } from "../parts/format.js";

export const BARS_MAX = 6;

/** The series of the bars: the whole funnel, its groups, or this period and the previous one. */
export function seriesOf(report) {
  if (report.segments) return report.segments.map((segment, i) => ({ label: segment.name, tone: i, ...segment }));
  if (report.breakdown) {
    const rows = report.breakdown.rows.filter(row => row.entered > 0 || row.value !== null);
    return rows.slice(0, BARS_MAX).map((row, i) => ({ label: valueText(row.value), quiet: row.value === null, tone: i, ...row }));
  }
  const whole = { label: "This period", tone: 0, quiet: true, ...report };
  return report.previous ? [whole, { label: "Previous period", tone: "before", quiet: true, ...report.previous }] : [whole];
}
