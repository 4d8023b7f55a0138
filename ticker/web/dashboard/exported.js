// A list as text: for spreadsheets and for a colleague.

import { columnOf } from "./columns.js";
import { NONE } from "./format.js";

const FORMULA = /^[=+@\t\r]|^-(?![\d.])/; // a spreadsheet would run a text that begins so

/** The columns of an export: exact values, as the service sent them. */
function cellsOf({ symbol, quote }, columns, facts) {
  return [symbol, ...columns.map((column) => valueOf(column, quote, facts)), quote.state];
}

function valueOf(column, quote, facts) {
  if (column.field) return String(quote.values[column.field] ?? "");
  const value = column.value(quote, facts);
  if (typeof value === "string") return value;
  if (Number.isNaN(value)) return "";
  if (column.id === "time") return new Date(value / 1000).toISOString();
  return ["percent", "range"].includes(column.id) ? (value * 100).toFixed(2) : value.toFixed(quote.digits);
}

function rows(lines, ids, facts) {
  const columns = ids.map(columnOf).filter(({ kind }) => kind !== "spark");
  const heads = ["Symbol", ...columns.map(({ title }) => title), "Status"];
  return [heads, ...lines.filter(({ symbol }) => symbol !== null).map((line) => cellsOf(line, columns, facts))];
}

/** Comma-separated values (RFC 4180). */
export function csv(lines, ids, facts) {
  const cell = (text) => {
    const harmless = FORMULA.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  };
  return rows(lines, ids, facts).map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** Values separated by tabs, which spreadsheets paste as cells. */
export function tabbed(lines, ids, facts) {
  return rows(lines, ids, facts).map((row) => row.map((text) => text.replace(/[\t\r\n]/g, " ") || NONE).join("\t")).join("\n");
}

/** Let the browser save a text as a file. */
export function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
