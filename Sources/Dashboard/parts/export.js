import { isNumber } from "../state/json.js";

/** Rows as the text of a CSV file. */
export function csvText(rows) {
  return rows.map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** RFC 4180. Text is always quoted, because some spreadsheets split cells at semicolons. A leading quote disables formulas. */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (isNumber(value)) return String(value);
  let text = String(value);
  if (/^'*[=+\-@\t\r\n＝＋－＠]/.test(text)) text = "'" + text;
  return `"${text.replaceAll('"', '""')}"`;
}

export function download(blob, file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = file;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const downloadCSV = (rows, file) => download(new Blob([csvText(rows)], { type: "text/csv;charset=utf-8" }), file + ".csv");

export const downloadPNG = (canvas, file) => canvas.toBlob(blob => blob && download(blob, file + ".png"));

export const fileName = (...parts) => parts.filter(Boolean).join("-").replace(/[^A-Za-z0-9_.-]+/g, "_").slice(0, 100) || "sluice";
