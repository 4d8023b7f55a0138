// Where the columns stand: in a table as many as fit, on narrow boards on cards. Heights are known, not measured.

const CARDS_BELOW = 620;
const SYMBOL_CHARACTERS = { least: 12, most: 32 };
const NAME_SHARE = 0.72; // of the width of a symbol's character, for one of a name
const GRIP = 28;
const TAIL = 40;
const SPARK_ON_CARD = 64;
const LEAST_NAME_ON_CARD = 150;
const NAME_LINES_BESIDE = 4; // a name that needs more of them beside the price stands above it, across the card
const RAGGED = 16; // of a line's width, which words leave empty at its end
const STRIPES = [
  { padding: 20, spark: 128, character: 1, tight: false },
  { padding: 12, spark: 84, character: 0.93, tight: true },
];
const HEIGHTS = {
  comfortable: { row: 48, head: 34, line: 19, card: 46 },
  compact: { row: 28, head: 28, line: 18, card: 44 },
};

/**
 * The layout for a width. `lengths` has the number of characters that each column needs (`symbol` and `name` too), `character`
 * and `bold` are widths of one digit.
 */
export function layoutFor({ columns, lengths, width, character, bold, density }) {
  if (width < CARDS_BELOW) {
    const needed = density === "comfortable" ? lengths : { ...lengths, name: 0 };
    return cards(columns, needed, width, character, bold, HEIGHTS[density]);
  }
  const symbol = symbolCharacters(lengths, density);
  let fitting = null;
  for (const stripe of STRIPES) {
    fitting = table(columns, lengths, width, { character: character * stripe.character, bold: bold * stripe.character }, symbol, stripe);
    if (fitting.hidden.length === 0) break;
  }
  return { ...fitting, cards: false, rowHeight: HEIGHTS[density].row, headHeight: HEIGHTS[density].head };
}

function table(columns, lengths, width, { character, bold }, symbol, { padding, spark, tight }) {
  const symbolWidth = Math.ceil(symbol * bold) + GRIP + 10;
  let left = width - symbolWidth - TAIL - 2;
  const shown = [];
  const tracks = [];
  let full = false;
  for (const column of columns) {
    const needed = column.kind === "spark" ? spark : Math.ceil(charactersOf(column, lengths) * (column.id === "last" ? bold : character) * 1.03) + padding;
    full ||= needed > left;
    if (full) break;
    left -= needed;
    shown.push(column);
    tracks.push(column.kind === "spark" ? `${needed}px` : `minmax(${needed}px, ${needed}fr)`);
  }
  const template = `minmax(${symbolWidth}px, ${Math.round(symbolWidth * 1.2)}fr) ${tracks.join(" ")} ${TAIL}px`;
  return { shown, hidden: columns.slice(shown.length), template, tight, spark: { width: spark - 20, height: 28 } };
}

/** Room for the symbol, and for the name below it in two lines, or the state beside it. */
function symbolCharacters({ symbol = 0, name = 0, state = 0 }, density) {
  const needed = density === "comfortable" ? Math.max(symbol, (name / 2 + 5) * NAME_SHARE) : symbol + (state > 0 ? state * NAME_SHARE + 2 : 0);
  return Math.min(SYMBOL_CHARACTERS.most, Math.max(SYMBOL_CHARACTERS.least, Math.ceil(needed)));
}

/** A card: symbol and name at the left, the price and its change at the right, or below where it is too wide; other values below. */
function cards(columns, lengths, width, character, bold, { card, line, head }) {
  const numbers = columns.filter((column) => column.kind !== "spark");
  const main = ["last", "bid", "ask"].map((id) => numbers.find((column) => column.id === id)).find(Boolean) ?? numbers[0];
  const beside = ["percent", "change"].map((id) => numbers.find((column) => column.id === id)).filter(Boolean).slice(0, 1);
  const rest = numbers.filter((column) => column !== main && !beside.includes(column));
  const small = character * 0.87;
  const widest = Math.max(1, ...rest.map((column) => (charactersOf(column, lengths) + labelOf(column).length + 1) * small + 8));
  const roomFor = Math.max(1, Math.min(3, Math.floor((width - 34) / widest)));
  const fits = rest.slice(0, (roomFor === 1 ? 3 : 2) * roomFor);
  const lines = Math.ceil(fits.length / roomFor);
  const perLine = Math.max(1, Math.ceil(fits.length / Math.max(1, lines))); // four are two and two, not three and one
  const widthOf = (column, digit) => (column ? charactersOf(column, lengths) * digit : 0);
  const mainWidth = Math.ceil(Math.max(widthOf(main, bold * 1.25), widthOf(beside[0], character * 0.95))) + 18;
  const room = width - GRIP - 10 - mainWidth;
  const spark = columns.find((column) => column.kind === "spark");
  const sparkColumn = room >= LEAST_NAME_ON_CARD + SPARK_ON_CARD + 10 ? spark : undefined;
  const linesIn = (nameRoom) => Math.max(1, Math.ceil(((lengths.name ?? 0) * bold * NAME_SHARE) / Math.max(1, nameRoom - RAGGED)));
  const linesBeside = linesIn(room - (sparkColumn ? SPARK_ON_CARD + 10 : 0));
  const stacked = linesBeside > NAME_LINES_BESIDE || Math.min(lengths.symbol ?? 0, SYMBOL_CHARACTERS.least) * bold > room;
  const nameLines = Math.min(NAME_LINES_BESIDE, stacked ? linesIn(width - GRIP - 10) : linesBeside);
  const top = 19 + 13 * nameLines;
  return {
    ...{ cards: true, tight: false, template: "", main, mainWidth, beside, rest: fits, sparkColumn, perLine, nameLines, stacked },
    spark: { width: SPARK_ON_CARD, height: 30 },
    shown: [main, ...beside, ...fits, sparkColumn].filter(Boolean),
    hidden: [...rest.slice(fits.length), ...(sparkColumn === spark ? [] : [spark])],
    rowHeight: (stacked ? top + card : Math.max(card, top)) + lines * line + 12,
    headHeight: Math.max(36, head),
  };
}

/** What a column is called on a card. */
export const labelOf = ({ title, short = title }) => short;

const charactersOf = (column, lengths) => Math.max(column.least, Math.min(column.title.length, column.least + 4), lengths[column.id] ?? 0);
