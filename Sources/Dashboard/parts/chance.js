/**
 * Whether the conversion of two periods differs by more than chance explains: a two-proportion z test at 1 %, which treats the users of
 * the periods as different ones.
 * @param report an answer with `previous`
 * @returns `{kind: "up"|"down"|"same", word}`; no word without a decision
 */
export function chanceOf(report) {
  const before = report.previous;
  if (!before || !report.entered || !before.entered) return { kind: "same", word: "" };
  const [n1, n2] = [report.entered, before.entered].map(Number);
  const [p1, p2] = [Number(report.converted) / n1, Number(before.converted) / n2];
  const pooled = (Number(report.converted) + Number(before.converted)) / (n1 + n2);
  const deviation = Math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2));
  const z = deviation ? (p1 - p2) / deviation : 0;
  if (Math.abs(z) < 2.576) return { kind: "same", word: "No clear change:" };
  return z > 0 ? { kind: "up", word: "▲ Rose:" } : { kind: "down", word: "▼ Fell:" };
}
