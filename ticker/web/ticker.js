/**
 * The JavaScript client of Ticker: exact live prices in browsers and Node, through every reconnect (PROTOCOL.md).
 *
 *     const client = connect("https://localhost:8443");
 *     for await (const change of client.subscribe("EURUSD", "XAU*")) console.log(change.changes);
 *
 * From the bytes up: 1. the messages and their two encodings, 2. symbols and patterns, 3. the copy of the market,
 * 4. the session (what is asked for, and what each message means; no sockets, no clocks), 5. the two transports,
 * 6. subscriptions, 7. the client, which keeps a connection. The types that users meet are in ticker.d.ts.
 */

const MAX_SCALE = 15;
const MAX_DEPTH = 1024;
const CONNECT_MS = 10_000;
const BACKOFF_MS = [250, 15_000];
const HIDDEN_MS = 3_000;
const EVENTS_MS = 300_000; // so long, at least, the event stream is used before a WebSocket is tried again
const REQUEST_OVERHEAD = 256; // the bytes of a request besides its names, with room to spare
const SUBPROTOCOL = "ticker.v1.msgpack";
const RETRIED_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);
const FINAL_CLOSES = new Set([1002, 1003, 1007, 1009]); // what ends for our own mistake would only end so again

const OK = 0, UNKNOWN_SYMBOL = 6, BAD_SYMBOL = 7, NOT_SUBSCRIBED = 9, BAD_TOKEN = 11; // PROTOCOL.md, section 7

/** Whatever goes wrong on purpose. `code` is that of an ERROR (PROTOCOL.md, section 7), or an HTTP status. */
export class TickerError extends Error {
  /** @param {string} text @param {number} [code] */
  constructor(text, code) {
    super(text);
    this.name = "TickerError";
    this.code = code;
  }
}

const malformed = (/** @type {string} */ text) => new TickerError(text, 1);

// ------------------------------------------------------------------------------- 1. messages and their two encodings

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Reads one msgpack value. Maps become Maps; a float becomes a Number object, so that 5.0 never passes for 5. */
class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.depth = 0;
  }

  value() {
    const at = this.take(1);
    const first = this.bytes[at];
    if (first < 0x80) return first;
    if (first >= 0xe0) return first - 256;
    if (first < 0x90) return this.map(first & 15);
    if (first < 0xa0) return this.array(first & 15);
    if (first < 0xc0) return this.text(first & 31);
    const { view } = this;
    switch (first) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.binary(view.getUint8(this.take(1)));
      case 0xc5: return this.binary(view.getUint16(this.take(2)));
      case 0xc6: return this.binary(view.getUint32(this.take(4)));
      case 0xca: return Object(view.getFloat32(this.take(4)));
      case 0xcb: return Object(view.getFloat64(this.take(8)));
      case 0xcc: return view.getUint8(this.take(1));
      case 0xcd: return view.getUint16(this.take(2));
      case 0xce: return view.getUint32(this.take(4));
      case 0xcf: return this.long(view.getUint32(this.take(4)));
      case 0xd0: return view.getInt8(this.take(1));
      case 0xd1: return view.getInt16(this.take(2));
      case 0xd2: return view.getInt32(this.take(4));
      case 0xd3: return this.long(view.getInt32(this.take(4)));
      case 0xd9: return this.text(view.getUint8(this.take(1)));
      case 0xda: return this.text(view.getUint16(this.take(2)));
      case 0xdb: return this.text(view.getUint32(this.take(4)));
      case 0xdc: return this.array(view.getUint16(this.take(2)));
      case 0xdd: return this.array(view.getUint32(this.take(4)));
      case 0xde: return this.map(view.getUint16(this.take(2)));
      case 0xdf: return this.map(view.getUint32(this.take(4)));
      default: throw malformed(`not msgpack: 0x${first.toString(16)} is not used in this protocol`);
    }
  }

  /**
   * Where the next `size` bytes begin; a length that lies is found out before anything is made for it.
   * @param {number} size
   */
  take(size) {
    const { at } = this;
    if (size > this.bytes.length - at) throw malformed("not msgpack: it is cut off");
    this.at = at + size;
    return at;
  }

  /** @param {number} high */
  long(high) {
    const value = high * 2 ** 32 + this.view.getUint32(this.take(4));
    if (!Number.isSafeInteger(value)) throw malformed("an integer of 2**53 or more");
    return value;
  }

  /** @param {number} size */
  binary(size) {
    const at = this.take(size);
    return this.bytes.slice(at, at + size);
  }

  /** @param {number} size */
  text(size) {
    const at = this.take(size);
    if (size < 24) {
      let text = "";
      for (let index = at; index < this.at; index++) {
        const byte = this.bytes[index];
        if (byte >= 0x80) return this.unicode(at);
        text += String.fromCharCode(byte);
      }
      return text; // many times as fast as the decoder, for what is short and ASCII
    }
    return this.unicode(at);
  }

  /** @param {number} at */
  unicode(at) {
    try {
      return utf8.decode(this.bytes.subarray(at, this.at));
    } catch {
      throw malformed("a text that is not UTF-8");
    }
  }

  /** @param {number} length @returns {any[]} */
  array(length) {
    this.enter(length);
    const array = [];
    for (let index = 0; index < length; index++) array.push(this.value());
    this.depth--;
    return array;
  }

  /** @param {number} length */
  map(length) {
    this.enter(2 * length);
    const map = new Map();
    for (let index = 0; index < length; index++) {
      const key = this.value();
      if (key instanceof Map || Array.isArray(key)) throw malformed("a map whose key is an array or a map");
      map.set(key, this.value());
    }
    this.depth--;
    return map;
  }

  /** @param {number} items */
  enter(items) {
    if (items > this.bytes.length - this.at) throw malformed("not msgpack: a length that lies");
    if (++this.depth > MAX_DEPTH) throw malformed("not msgpack: it is nested too deep");
  }
}

/** @param {Uint8Array} bytes */
function unpack(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (reader.at !== bytes.length) throw malformed("not msgpack: something is behind the message");
  return value;
}

/** JSON as msgpack would have it: Maps, and Number objects for what is no integer. @param {any} value @returns {any} */
function mapped(value) {
  if (typeof value === "number") return Number.isInteger(value) ? value + 0 : Object(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(mapped);
  return new Map(Object.entries(value).map(([key, each]) => [key, mapped(each)]));
}

/** @param {string} text */
function parseJson(text) {
  let message;
  try {
    message = mapped(JSON.parse(text));
  } catch (error) {
    throw malformed(`not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (Array.isArray(message) && (message[0] === 5 || message[0] === 6)) {
    for (const entries of message.slice(4, 6)) {
      if (!Array.isArray(entries)) continue;
      for (let index = 1; index < entries.length; index += 2) entries[index] = integerKeys(entries[index]);
    }
  }
  return message;
}

/** JSON has no integer keys: the ids of standard fields come as "1", "2", … @param {any} fields */
function integerKeys(fields) {
  if (!(fields instanceof Map)) return fields;
  return new Map([...fields].map(([key, value]) => [/^[0-9]{1,5}$/.test(key) ? Number(key) : key, value]));
}

/** The msgpack of a request: a map of texts to integers, texts and arrays of texts. @param {object} request */
export function encode(request) {
  /** @type {number[]} */
  const bytes = [];
  const big = (/** @type {number} */ value, /** @type {number} */ size) => {
    for (let shift = size - 1; shift >= 0; shift--) bytes.push(Math.floor(value / 256 ** shift) % 256);
  };
  const pack = (/** @type {any} */ value) => {
    if (typeof value === "number") {
      if (value < 0x80) bytes.push(value);
      else bytes.push(0xcf), big(value, 8);
    } else if (typeof value === "string") {
      const text = encoder.encode(value);
      if (text.length < 32) bytes.push(0xa0 | text.length);
      else bytes.push(0xdb), big(text.length, 4);
      for (const byte of text) bytes.push(byte);
    } else if (Array.isArray(value)) {
      bytes.push(0xdd), big(value.length, 4);
      value.forEach(pack);
    } else {
      const entries = Object.entries(value);
      bytes.push(0x80 | entries.length);
      entries.flat(1).forEach(pack);
    }
  };
  pack(request);
  return Uint8Array.from(bytes);
}

/** @typedef {(value: any) => boolean} Check */
/** @type {Check} */
const natural = (value) => Number.isSafeInteger(value) && value >= 0;
/** @type {Check} */
const text = (value) => typeof value === "string";
/** @type {Check} */
const flag = (value) => typeof value === "boolean";
/** @type {Check} */
const array = (value) => Array.isArray(value);
/** @type {Check} */
const scale = (value) => natural(value) && value <= MAX_SCALE;
/** @type {Check} */
const symbol = (value) => text(value) && value !== "" && (value.length <= 64 || [...value].length <= 64);
/** @type {(check: Check) => Check} */
const mapOf = (check) => (value) => value instanceof Map && [...value].every(([key, each]) => text(key) && check(each));

/**
 * The server's messages: what follows the kind (PROTOCOL.md, section 3.1).
 * @type {[string, Record<string, Check>][]}
 */
const MESSAGES = [
  ["", {}],
  ["welcome", {
    protocol: natural, epoch: text, session: text, cut: natural, time: natural, heartbeatMs: natural,
    limits: mapOf(natural),
  }],
  ["reply", { id: natural, result: mapOf(() => true) }],
  ["error", { id: (value) => value === null || natural(value), code: natural, text, fatal: flag }],
  ["instruments", { definitions: array }],
  ["snapshot", { since: natural, cut: natural, time: natural, changes: array, records: array }],
  ["delta", { since: natural, cut: natural, time: natural, changes: array }],
  ["heartbeat", { cut: natural, time: natural }],
  ["goodbye", { reason: text, retryMs: natural, comeBack: flag }],
  ["expiring", { time: natural }],
];
const SHAPES = MESSAGES.map(([kind, checks]) => ({ kind, elements: Object.entries(checks) }));
const DEFINITION = Object.entries({ id: natural, symbol, priceScale: scale, sizeScale: scale, metadata: mapOf(text) });

/**
 * An array's elements by name; those behind the known ones are of a later version.
 * @param {string} kind
 * @param {any} elements
 * @param {[string, Check][]} shape
 */
function named(kind, elements, shape, from = 1) {
  if (!Array.isArray(elements)) throw malformed(`${kind} is an array`);
  /** @type {any} */
  const message = { kind };
  for (let index = 0; index < shape.length; index++) {
    const [name, check] = shape[index];
    const value = elements[index + from];
    if (!check(value)) throw malformed(`${kind}: ${name} is missing or not what it should be`);
    message[name] = value;
  }
  return message;
}

/**
 * One message of the server: msgpack from bytes, JSON from a text. Null for a kind that this version does not know.
 * @param {any} payload
 */
export function decode(payload) {
  const bytes = payload instanceof ArrayBuffer ? new Uint8Array(payload) : payload;
  const elements = typeof bytes === "string" ? parseJson(bytes) : unpack(bytes);
  if (!Array.isArray(elements) || !Number.isSafeInteger(elements[0])) {
    throw malformed("a server message is an array that starts with an integer kind");
  }
  const shape = elements[0] > 0 ? SHAPES[elements[0]] : undefined;
  if (!shape) return null;
  const message = named(shape.kind, elements, shape.elements);
  if (shape.kind === "instruments") message.definitions = message.definitions.map(definition);
  return message;
}

/** @param {any} elements */
function definition(elements) {
  const { kind: _, metadata, ...rest } = named("definition", elements, DEFINITION, 0);
  return { ...rest, metadata: plain(metadata) };
}

/**
 * A Map as an object: without a prototype, because a symbol or a key may well be "constructor".
 * @param {Iterable<[string, any]>} map
 */
function plain(map) {
  const object = Object.create(null);
  for (const [key, value] of map) object[key] = value;
  return object;
}

// ------------------------------------------------------------------------------------------ 2. symbols and patterns

/**
 * Whether a symbol or pattern matches a symbol (PROTOCOL.md, section 5).
 * @param {string} name
 * @returns {(symbol: string) => boolean}
 */
export function matcher(name) {
  if (!/[*?[]/.test(name)) return (symbol) => symbol === name;
  // After each *, the first place where the next part fits is as good as any later one: a lookahead with a back
  // reference keeps to it, so no pattern takes long. The last part has to end at the end.
  const [first, ...parts] = split(name);
  const last = parts.pop();
  const middle = parts.map((part, index) => `(?=([^]*?${part}))\\${index + 1}`).join("");
  const expression = new RegExp(`^${first}${middle}${last === undefined ? "" : `[^]*${last}`}$`, "u");
  return (symbol) => expression.test(symbol);
}

/** What stands between the stars of a pattern, as regular expressions. @param {string} pattern */
function split(pattern) {
  const parts = [""];
  const rest = [...pattern];
  for (let at = 0; at < rest.length; at++) {
    const character = rest[at];
    const end = character === "[" ? rest.indexOf("]", at + (rest[at + 1] === "!" ? 3 : 2)) : -1;
    if (character === "*") parts.push("");
    else if (character === "?") parts[parts.length - 1] += "[^]";
    else if (end < 0) parts[parts.length - 1] += escaped(character);
    else {
      parts[parts.length - 1] += oneOf(rest.slice(at + 1, end));
      at = end;
    }
  }
  return parts;
}

/** @param {string[]} content what stands between [ and ] */
function oneOf(content) {
  const none = content[0] === "!" && content.length > 1;
  let set = "";
  for (let at = none ? 1 : 0; at < content.length; at++) {
    if (content[at + 1] === "-" && at + 2 < content.length) {
      const [low, high] = [content[at], content[at + 2]];
      if (codeOf(low) <= codeOf(high)) set += `${escaped(low)}-${escaped(high)}`;
      at += 2;
    } else set += escaped(content[at]);
  }
  return `[${none ? "^" : ""}${set}]`;
}

const codeOf = (/** @type {string} */ character) => character.codePointAt(0) ?? 0;
const escaped = (/** @type {string} */ character) => `\\u{${codeOf(character).toString(16)}}`;

/** What cannot be asked for, and would spoil a whole request for events. @param {string} name */
const isName = (name) => /^[^\s,\p{C}\p{Z}]{1,64}$/u.test(name);

// ------------------------------------------------------------------------------------------------------ 3. the copy

const [PRICE, SIZE, INTEGER, TEXT] = [1, 2, 3, 4];
/** The standard fields by id: names and kinds (PROTOCOL.md, section 4). @type {[string, number][]} */
const FIELDS = [
  ["", 0], ["bid", PRICE], ["bid_size", SIZE], ["ask", PRICE], ["ask_size", SIZE], ["last", PRICE], ["last_size", SIZE],
  ["open", PRICE], ["high", PRICE], ["low", PRICE], ["prev_close", PRICE], ["volume", SIZE], ["trade_count", INTEGER],
  ["time", INTEGER], ["status", TEXT], ["reason", TEXT],
];
const kindOf = (/** @type {any} */ key) => (typeof key === "number" ? FIELDS[key][1] : 0);
const isKnown = (/** @type {any} */ key) => typeof key !== "number" || (key > 0 && key < FIELDS.length);

/** @param {number | bigint} scaled @param {number} scale */
function decimalText(scaled, scale) {
  if (scale === 0) return String(scaled);
  const negative = scaled < 0;
  const digits = String(negative ? -scaled : scaled).padStart(scale + 1, "0");
  return `${negative ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** One instrument of the copy: its definition and its present values, still scaled. */
class Holding {
  /** @param {any} definition */
  constructor(definition) {
    this.definition = definition;
    /** @type {Map<any, any>} */
    this.values = new Map();
  }

  /** Take a new definition over; the numbers move to its scales. @param {any} definition */
  redefine(definition) {
    const prices = definition.priceScale - this.definition.priceScale;
    const sizes = definition.sizeScale - this.definition.sizeScale;
    this.definition = definition;
    if (!prices && !sizes) return;
    for (const [key, value] of this.values) {
      const places = { [PRICE]: prices, [SIZE]: sizes }[kindOf(key)] ?? 0;
      const scaled = Number(value) * 10 ** places;
      // A number that does not fit will be replaced by the next data message; until then it stays exact all the same.
      if (places) this.values.set(key, Number.isSafeInteger(scaled) ? scaled : BigInt(value) * 10n ** BigInt(places));
    }
  }

  /** @param {Map<any, any>} fields */
  merge(fields) {
    for (const [key, value] of fields) {
      if (value === null) this.values.delete(key);
      else this.values.set(key, value);
    }
  }

  /** All its fields as withdrawn. @returns {[any, any][]} */
  nothing() {
    return [...this.values.keys()].map((key) => [key, null]);
  }

  /** Values of this instrument by field name. @param {Map<any, any>} values */
  fields(values) {
    const { priceScale, sizeScale } = this.definition;
    const fields = Object.create(null);
    for (const [key, value] of values) {
      const kind = kindOf(key);
      const scale = kind === PRICE ? priceScale : sizeScale;
      const scaled = value !== null && (kind === PRICE || kind === SIZE);
      fields[kind ? FIELDS[key][0] : key] = scaled ? decimalText(value, scale) : value;
    }
    return fields;
  }
}

/** The copy of the market. `wants` says which symbols are subscribed at the moment; the rest is ignored. */
export class Replica {
  /** @param {(symbol: string) => boolean} wants */
  constructor(wants) {
    this.wants = wants;
    this.epoch = "";
    this.cursor = 0;
    this.time = 0;
    /** The server has not answered RESUME yet, so what it says of its own cut does not hold for this copy. */
    this.resuming = false;
    /** @type {Map<number, any>} */
    this.definitions = new Map();
    /** @type {Map<string, number>} */
    this.ids = new Map();
    /** @type {Map<number, Holding>} */
    this.holdings = new Map();
  }

  /** What is known of an instrument. @param {string} symbol */
  definition(symbol) {
    return this.definitions.get(this.ids.get(symbol) ?? -1);
  }

  /** What the copy holds of an instrument. @param {string} symbol */
  find(symbol) {
    return this.holdings.get(this.ids.get(symbol) ?? -1);
  }

  /** The present values of all instruments whose symbols match, by symbol. */
  values(matches = (/** @type {string} */ _) => true) {
    const held = [...this.holdings.values()].filter((each) => matches(each.definition.symbol));
    return plain(held.map((each) => [each.definition.symbol, each.fields(each.values)]));
  }

  /**
   * A connection begins. True if this copy can be resumed on it; otherwise the copy was forgotten.
   * @param {any} welcome
   * @param {boolean} resumable
   */
  welcome(welcome, resumable) {
    this.resuming = resumable && welcome.epoch === this.epoch && this.cursor <= welcome.cut;
    if (!this.resuming) {
      this.epoch = welcome.epoch;
      this.cursor = welcome.cut;
      this.time = welcome.time;
      for (const map of [this.definitions, this.ids, this.holdings]) map.clear();
    }
    return this.resuming;
  }

  /** Learn definitions, all or none. @param {any[]} definitions */
  define(definitions) {
    const fresh = new Map();
    const symbols = new Map();
    for (const each of definitions) {
      const known = fresh.get(each.id) ?? this.definitions.get(each.id);
      const fallen = known && (known.priceScale > each.priceScale || known.sizeScale > each.sizeScale);
      if (fallen || (known && known.symbol !== each.symbol)) {
        throw malformed(`instrument ${each.id}: a scale was lowered or the symbol changed`);
      }
      if ((symbols.get(each.symbol) ?? this.ids.get(each.symbol) ?? each.id) !== each.id) {
        throw malformed(`instrument ${each.id}: another one has its symbol`);
      }
      fresh.set(each.id, each);
      symbols.set(each.symbol, each.id);
    }
    for (const [id, each] of fresh) {
      this.definitions.set(id, each);
      this.ids.set(each.symbol, id);
      this.holdings.get(id)?.redefine(each);
    }
  }

  /**
   * Apply a DELTA or SNAPSHOT whole; the fields that it changed, by instrument, null where one is gone. Throws for one
   * that does not follow the cursor or makes no sense; the copy is then as it was.
   * @param {any} message
   * @returns {Map<Holding, Map<any, any>>}
   */
  apply(message) {
    const { since, cut } = message;
    if (since > this.cursor) throw malformed(`a delta since cut ${since} cannot follow cut ${this.cursor}`);
    if (cut < this.cursor) throw malformed(`cut ${cut} after cut ${this.cursor}`);
    const changes = this.#checked(message.changes);
    const records = message.records ? this.#checked(message.records) : new Map();
    const brought = new Map();
    for (const [id, fields] of changes) {
      const held = this.holdings.get(id);
      held?.merge(fields);
      if (held) brought.set(held, fields);
    }
    for (const [id, fields] of records) {
      const known = this.definitions.get(id);
      if (!this.wants(known.symbol)) continue;
      const before = this.holdings.get(id);
      const held = new Holding(known);
      held.merge(fields);
      this.holdings.set(id, held);
      brought.set(held, before ? new Map([...(brought.get(before) ?? []), ...before.nothing(), ...fields]) : fields);
      if (before) brought.delete(before);
    }
    this.cursor = message.cut;
    this.time = message.time;
    return brought;
  }

  /** Nothing changed through this cut. @param {any} heartbeat */
  beat(heartbeat) {
    if (this.resuming || heartbeat.cut < this.cursor) return;
    this.cursor = heartbeat.cut;
    this.time = heartbeat.time;
  }

  /** Drop what is no longer subscribed; the values that were held, by symbol. */
  forgetUnwanted() {
    const dropped = new Map();
    for (const [id, held] of this.holdings) {
      if (this.wants(held.definition.symbol)) continue;
      dropped.set(held.definition.symbol, held.fields(held.values));
      this.holdings.delete(id);
    }
    return dropped;
  }

  /**
   * Entries by id, without fields that a later version may know.
   * @param {any[]} entries
   * @returns {Map<number, Map<any, any>>}
   */
  #checked(entries) {
    if (entries.length % 2) throw malformed("entries come in pairs of id and fields");
    const checked = new Map();
    for (let index = 0; index < entries.length; index += 2) {
      const [id, fields] = [entries[index], entries[index + 1]];
      if (!this.definitions.has(id)) throw malformed(`an entry of instrument ${id}, which was not defined`);
      if (!(fields instanceof Map) || checked.has(id)) throw malformed(`instrument ${id}: not one map of fields`);
      for (const [key, value] of fields) {
        if (!isKnown(key)) fields.delete(key);
        else if (!mayBe(key, value)) throw malformed(`instrument ${id}: a field has a value that it cannot have`);
      }
      checked.set(id, fields);
    }
    return checked;
  }
}

/** Whether a known field, or one of a feed's own, can have this value. @param {any} key @param {any} value */
function mayBe(key, value) {
  if (typeof key !== "number" && typeof key !== "string") return false;
  if (value === null) return true;
  const kind = kindOf(key);
  return typeof value === "string" ? kind === TEXT || kind === 0 : Number.isSafeInteger(value) && kind !== TEXT;
}

// ---------------------------------------------------------------------------------------------------- 4. the session

/**
 * One client over all its connections. A name goes from *wanted* to *requested* (on this connection) to *confirmed*
 * (its reply came, so the copy holds all of it); only confirmed names are resumed on the next connection. To a new
 * epoch nothing carries over: what the copy had then and does not get anew is reported as withdrawn.
 */
export class Session {
  /** @param {number} [intervalMs] */
  constructor(intervalMs) {
    this.replica = new Replica((symbol) => this.#symbols.has(symbol) || this.#matches.some((each) => each(symbol)));
    this.#interval = intervalMs === undefined ? {} : { interval_ms: intervalMs };
  }

  #interval;
  /** @type {Map<string, number>} */
  #wanted = new Map();
  /** @type {Set<string>} */
  #requested = new Set();
  /** Names that the server refused. @type {Set<string>} */
  #declined = new Set();
  /** @type {Set<string>} */
  #confirmed = new Set();
  /** @type {Set<string>} */
  #symbols = new Set();
  /** @type {((symbol: string) => boolean)[]} */
  #matches = [];
  #resumeFirst = false;
  /** @type {number | undefined} */
  #resumeId;
  /** @type {number | undefined} */
  #tokenId;
  /** The names of each request that waits for its answer. @type {Map<number, Set<string>>} */
  #awaited = new Map();
  /** Unsubscribes without a reply: until it comes, data may be of before them. @type {Set<number>} */
  #leaving = new Set();
  #lastId = 0;
  /** @type {any} */
  #welcome;
  /** What was held and is not any more, until it comes anew or is reported. @type {Map<string, any>} */
  #vanishing = new Map();

  /** Whether the copy holds everything that is wanted and that the server has. */
  get settled() {
    return this.#awaited.size === 0 && this.current;
  }

  /** Whether all that is wanted, and nothing else, was asked for on this connection. */
  get current() {
    return this.#requested.size === this.#wanted.size && this.#names.every((name) => this.#requested.has(name));
  }

  get wanting() {
    return this.#wanted.size > 0;
  }

  /** What is wanted. */
  get #names() {
    return [...this.#wanted.keys()];
  }

  /** Ask for names; one that is wanted twice has to be given up twice. @param {Iterable<string>} names */
  want(names) {
    for (const name of names) this.#wanted.set(name, (this.#wanted.get(name) ?? 0) + 1);
  }

  /** @param {Iterable<string>} names */
  giveUp(names) {
    for (const name of names) {
      const count = (this.#wanted.get(name) ?? 0) - 1;
      if (count > 0) this.#wanted.set(name, count);
      else this.#wanted.delete(name);
    }
  }

  /** A WebSocket begins with this WELCOME. @param {any} welcome */
  begin(welcome) {
    this.#welcome = welcome;
    this.#declined.clear();
    const names = [...this.#confirmed].filter((name) => this.#wanted.has(name));
    // A resume is one message: a client with more names than fit into it starts anew.
    const size = encode({ op: "resume", id: 2 ** 53 - 1, ...this.#resume(names) }).length;
    this.#start(welcome, names, names.length > 0 && size <= this.#room());
    this.#resumeFirst = this.replica.resuming;
    if (!this.#resumeFirst) this.#askFor([]);
  }

  /** @param {any} welcome @param {string[]} names @param {boolean} resumable */
  #start(welcome, names, resumable) {
    this.#awaited.clear();
    this.#leaving.clear();
    this.#resumeId = this.#tokenId = undefined;
    this.#confirmed = new Set(names);
    this.#askFor(names);
    const before = this.replica.values();
    this.replica.forgetUnwanted();
    if (!this.replica.welcome(welcome, resumable)) this.#confirmed.clear();
    for (const symbol in before) if (!this.replica.find(symbol)) this.#vanishing.set(symbol, before[symbol]);
  }

  /** What to ask a new event stream for: its names, and whether to go on from the cursor. */
  streamed() {
    const wanted = this.#names;
    const bad = wanted.filter((name) => !isName(name));
    for (const name of bad) this.#declined.add(name);
    let names = wanted.filter((name) => this.#confirmed.has(name));
    const missing = wanted.filter((name) => !this.#confirmed.has(name) && !this.#declined.has(name));
    const resumed = names.length > 0 && missing.length === 0;
    if (!resumed) {
      this.#declined = new Set(bad);
      names = wanted.filter(isName);
    }
    const lastEventId = resumed ? `${this.replica.epoch}:${this.replica.cursor}` : undefined;
    const refused = bad.map((name) => ({ name, code: BAD_SYMBOL, text: "it is neither a symbol nor a pattern" }));
    return { names, lastEventId, wanted, refused };
  }

  /**
   * An event stream that was asked for `streamed` begins with this WELCOME.
   * @param {any} welcome
   * @param {{names: string[], wanted: string[], lastEventId?: string}} streamed
   */
  beginStream(welcome, { names, wanted, lastEventId }) {
    this.#welcome = welcome;
    this.#start(welcome, lastEventId === undefined ? [] : names, lastEventId !== undefined);
    this.#resumeFirst = false;
    this.#askFor(wanted);
    this.#lastId = 1; // that of the one reply that a stream has
    this.#awaited.set(1, new Set(names));
    if (this.replica.resuming) this.#resumeId = 1;
  }

  /** The requests that have to be sent for the server to know what is wanted. @returns {object[]} */
  requests() {
    const requests = [];
    if (this.#resumeFirst) {
      this.#resumeFirst = false;
      requests.push(this.request("resume", this.#resume([...this.#requested])));
      this.#resumeId = this.#lastId;
    }
    const dropped = [...this.#requested].filter((name) => !this.#wanted.has(name));
    let added = this.#names.filter((name) => !this.#requested.has(name));
    // Records of an instrument that is given up and asked for again would be taken from before, and grow old.
    if (dropped.length > 0 || this.#leaving.size > 0) added = [];
    this.#askFor([...this.#requested].filter((name) => this.#wanted.has(name)).concat(added));
    for (const name of dropped) for (const names of [this.#confirmed, ...this.#awaited.values()]) names.delete(name);
    if (dropped.length > 0) this.replica.forgetUnwanted();
    for (const symbols of this.#parts(dropped)) {
      requests.push(this.request("unsubscribe", { symbols }));
      this.#leaving.add(this.#lastId);
    }
    for (const symbols of this.#parts(added)) requests.push(this.request("subscribe", { symbols, ...this.#interval }));
    return requests;
  }

  /** @param {string} op @param {Record<string, any>} fields */
  request(op, fields) {
    const id = ++this.#lastId;
    if (op === "auth") this.#tokenId = id;
    if (fields.symbols) this.#awaited.set(id, new Set(op === "unsubscribe" ? [] : fields.symbols));
    return { op, id, ...fields };
  }

  /**
   * Take one message in, and say what it meant. Throws for what the protocol does not allow: the connection is then of
   * no use any more, the copy is as it was, and a new connection can resume it.
   * @param {any} message
   */
  receive(message) {
    /** @type {{changes?: Record<string, any>, refused: ReturnType<typeof outcome>[], tokenRefused?: string}} */
    const received = { refused: [] };
    switch (message?.kind) {
      case "instruments": this.replica.define(message.definitions); break;
      case "snapshot": case "delta": received.changes = this.#apply(message); break;
      case "heartbeat": this.replica.beat(message); break;
      case "reply": this.#settle(message, received); break;
      case "error": this.#fail(message, received); break;
    }
    return received;
  }

  /** @param {any} message */
  #apply(message) {
    const changes = Object.create(null);
    for (const [held, fields] of this.replica.apply(message)) {
      const { symbol } = held.definition;
      const gone = this.#vanishing.get(symbol);
      this.#vanishing.delete(symbol);
      changes[symbol] = gone ? Object.assign(nothing(gone), held.fields(fields)) : held.fields(fields);
    }
    return changes;
  }

  /** A request was answered: what it asked for is held now. @param {any} message @param {any} received */
  #settle({ id, result }, received) {
    const outcomes = named("reply", [result.get("outcomes") ?? []], [["outcomes", array]], 0).outcomes.map(outcome);
    const names = this.#awaited.get(id) ?? new Set();
    this.#awaited.delete(id);
    this.#leaving.delete(id);
    if (id === this.#resumeId) {
      this.#resumeId = undefined;
      this.replica.resuming = false;
    }
    received.refused = outcomes.filter((/** @type {any} */ each) => each.code !== OK && each.code !== NOT_SUBSCRIBED);
    // A symbol that the server does not know yet is held all the same: it joins when it appears.
    const declined = received.refused.filter((/** @type {any} */ each) => each.code !== UNKNOWN_SYMBOL);
    for (const { name } of declined) names.delete(name), this.#declined.add(name), this.#confirmed.delete(name);
    for (const name of names) this.#confirmed.add(name);
    if (declined.length > 0) {
      this.#askFor([...this.#requested]); // what was resumed for these would only grow old
      for (const [symbol, fields] of this.replica.forgetUnwanted()) this.#vanishing.set(symbol, fields);
    }
    if (this.settled && this.#vanishing.size > 0) {
      received.changes = plain([...this.#vanishing].map(([symbol, fields]) => [symbol, nothing(fields)]));
      this.#vanishing.clear();
    }
  }

  /**
   * A request was refused whole; if it was the resume, the copy is of no use, and everything is asked anew.
   * @param {any} message
   * @param {any} received
   */
  #fail({ id, code, text }, received) {
    if (id === null) return;
    const names = this.#awaited.get(id) ?? new Set();
    this.#awaited.delete(id);
    this.#leaving.delete(id);
    if (id === this.#tokenId) received.tokenRefused = text;
    if (id === this.#resumeId) {
      this.#resumeId = undefined;
      const before = this.replica.values();
      for (const symbol in before) this.#vanishing.set(symbol, before[symbol]);
      this.replica.welcome(this.#welcome, false);
      this.#confirmed.clear();
      this.#askFor([...this.#requested].filter((name) => !names.has(name)));
    } else received.refused = [...names].map((name) => ({ name, code, text }));
  }

  /** @param {string[]} symbols */
  #resume(symbols) {
    return { epoch: this.replica.epoch, cursor: this.replica.cursor, symbols, ...this.#interval };
  }

  /** The most bytes that a request may have. @returns {number} */
  #room() {
    return this.#welcome.limits.get("max_message_bytes") ?? 65_536;
  }

  /** The names in parts that each fit into a request. @param {string[]} names */
  #parts(names) {
    /** @type {string[][]} */
    const parts = [];
    let room = 0;
    for (const name of names) {
      const size = encoder.encode(name).length + 5;
      if (parts.length === 0 || size > room) {
        parts.push([]);
        room = this.#room() - REQUEST_OVERHEAD;
      }
      parts[parts.length - 1].push(name);
      room -= size;
    }
    return parts;
  }

  /** @param {string[]} names */
  #askFor(names) {
    this.#requested = new Set(names);
    const served = names.filter((name) => !this.#declined.has(name));
    this.#symbols = new Set(served);
    this.#matches = served.filter((name) => /[*?[]/.test(name)).map(matcher);
  }
}

/** @param {any} elements */
function outcome(elements) {
  const [name, code, reason] = Array.isArray(elements) ? elements : [];
  if (!text(name) || !natural(code) || !text(reason)) throw malformed("outcomes are [name, code, text]");
  return { name, code, text: reason };
}

/** These fields as withdrawn. @param {Record<string, any>} fields */
const nothing = (fields) => plain(Object.keys(fields).map((name) => [name, null]));

// -------------------------------------------------------------------------------------------------- 5. the transports

/**
 * How a connection ended. `status` and `code` are those of HTTP and of a WebSocket's close.
 * @typedef {{reason: string, comeBack?: boolean, retryMs?: number, code?: number, atOnce?: boolean}} End
 * @typedef {{message: (payload: any, size: number) => void, heard: () => void, end: (end: End) => void}} Ears
 * @typedef {{send: (request: object) => void, close: () => void}} Link
 */

const LOST = "the connection was lost";
/** A token may be in a cookie. @type {RequestInit} */
const FETCHING = { cache: "no-store", credentials: "include" };

/** @param {string} base @param {string | undefined} token @param {any} WebSocket @param {Ears} ears @returns {Link} */
function openWebSocket(base, token, WebSocket, ears) {
  const protocols = token === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, `bearer.${token}`];
  const socket = new WebSocket(`wss${base.slice(5)}/v1/stream`, protocols);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (/** @type {any} */ { data }) => ears.message(data, data.byteLength ?? data.length);
  // A close follows, and knows its code; but not in Node 20 where there was no connection yet.
  socket.onerror = () => setTimeout(ears.end, 50, { reason: LOST });
  socket.onclose = (/** @type {any} */ { code }) =>
    ears.end({ reason: LOST, code, ...(FINAL_CLOSES.has(code) && { comeBack: false }) });
  return {
    send: (request) => socket.readyState === 1 && socket.send(encode(request)),
    close: () => {
      socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}

/**
 * @param {string} base
 * @param {string} query
 * @param {Record<string, string>} headers
 * @param {typeof globalThis.fetch} fetch
 * @param {Ears} ears
 * @returns {Link}
 */
function openEvents(base, query, headers, fetch, ears) {
  const gone = new AbortController();
  const read = async () => {
    const response = await fetch(`${base}/v1/events?${query}`, { ...FETCHING, headers, signal: gone.signal });
    if (!response.ok || !response.body) return ears.end(await refusal(response));
    const reader = response.body.getReader();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let rest = "";
    let data = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return ears.end({ reason: LOST });
      ears.heard();
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
      rest = /** @type {string} */ (lines.pop());
      for (const line of lines) {
        if (line.startsWith("data:")) data += line.slice(line[5] === " " ? 6 : 5);
        else if (line === "" && data !== "") {
          const payload = data;
          data = "";
          ears.message(payload, payload.length);
        }
      }
    }
  };
  read().catch((error) => ears.end({ reason: why(error) }));
  return { send: () => {}, close: () => gone.abort() };
}

/** An HTTP answer that is not what was asked for. @param {Response} response @returns {Promise<End>} */
async function refusal(response) {
  const { status, headers } = response;
  const message = await response.json().then((body) => `: ${body.message}`, () => "");
  const retryMs = (Number(headers.get("Retry-After")) || 0) * 1000;
  const reason = `the server answered with HTTP status ${status}${message}`;
  return { reason, comeBack: RETRIED_STATUSES.has(status), code: status, retryMs };
}

/** @param {any} error */
const why = (error) => `${error?.message ?? error}${error?.cause?.message ? `: ${error.cause.message}` : ""}`;

// --------------------------------------------------------------------------------------------------- 6. subscriptions

/** @param {string} type @param {object} more */
const event = (type, more) => Object.assign(new Event(type), more);

const any = (/** @type {object} */ changes) => Object.keys(changes).length > 0;

/** @param {Replica} copy @param {Record<string, any>} changes */
const changeOf = ({ cursor, time }, changes) => ({ cut: cursor, time: new Date(time / 1000), timeUs: time, changes });

/** What a user iterates over, or listens to: changes, merged for as long as nobody takes them. */
class Subscription extends EventTarget {
  /** @param {string[]} names @param {Replica} copy @param {(subscription: Subscription) => void} close */
  constructor(names, copy, close) {
    super();
    this.names = names;
    this.#matchers = names.map(matcher);
    this.#copy = copy;
    this.#close = close;
    const held = this.#held();
    const tell = () => this.#over || this.dispatchEvent(event("change", { change: changeOf(copy, held) }));
    if (any(held)) queueMicrotask(tell); // whoever made this subscription listens first
  }

  #matchers;
  #copy;
  #close;
  /** Which symbols match, as far as it was asked. @type {Map<string, boolean>} */
  #known = new Map();
  /**
   * What was not taken yet; undefined until somebody iterates: to begin with, that is all there is.
   * @type {Record<string, any> | undefined}
   */
  #pending;
  /** @type {{resolve: (result: any) => void, reject: (error: any) => void}[]} */
  #waiting = [];
  #over = false;
  /** @type {TickerError | undefined} */
  #error;

  [Symbol.asyncIterator]() {
    return this;
  }

  next() {
    if (!this.#pending) {
      this.#pending = Object.create(null);
      if (!this.#over) this.#merge(this.#held());
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#give();
    });
  }

  /** Unsubscribe; what was not taken yet is dropped. */
  close() {
    if (this.#over) return;
    this.#pending = undefined;
    this.end();
    this.#close(this);
  }

  /** Take over what changed, as far as it is asked for here. @param {Record<string, any>} changes */
  take(changes) {
    const mine = this.#mine(changes);
    if (!any(mine)) return;
    if (this.#pending) this.#merge(mine);
    this.dispatchEvent(event("change", { change: changeOf(this.#copy, mine) }));
    this.#give();
  }

  /** Nothing more will come. @param {TickerError} [error] */
  end(error) {
    this.#over = true;
    this.#error = error;
    this.#give();
  }

  /** @param {string} symbol */
  #matches(symbol) {
    let known = this.#known.get(symbol);
    if (known === undefined) this.#known.set(symbol, (known = this.#matchers.some((each) => each(symbol))));
    return known;
  }

  /** @param {Record<string, any>} changes */
  #mine(changes) {
    return plain(Object.entries(changes).filter(([symbol]) => this.#matches(symbol)));
  }

  /** All that is there, as far as it is asked for here. */
  #held() {
    return this.#copy.values((symbol) => this.#matches(symbol));
  }

  /** @param {Record<string, any>} changes */
  #merge(changes) {
    const pending = this.#pending ?? {};
    for (const symbol in changes) Object.assign((pending[symbol] ??= Object.create(null)), changes[symbol]);
  }

  #give() {
    while (this.#waiting.length > 0) {
      const changes = this.#pending ?? {};
      const some = any(changes);
      if (!some && !this.#over) return;
      const { resolve, reject } = /** @type {any} */ (this.#waiting.shift());
      if (some) this.#pending = Object.create(null);
      if (some) resolve({ value: changeOf(this.#copy, changes), done: false });
      else if (this.#error) reject(this.#error);
      else resolve({ value: undefined, done: true });
    }
  }
}

// ------------------------------------------------------------------------------------------------------- 7. the client

/** Connect to a service, and stay connected until `close`. @param {any} [url] @param {any} [options] */
export function connect(url = globalThis.location?.origin, options = {}) {
  return new Client(baseOf(url), options);
}

/** The service's address without its path: https://HOST:PORT. @param {any} url */
function baseOf(url) {
  let parts;
  try {
    parts = new URL(url);
  } catch {
    throw new TickerError(`url ${url}: give https://HOST:PORT`);
  }
  if (parts.protocol !== "https:" && parts.protocol !== "wss:") {
    throw new TickerError(`url ${url}: give https://HOST:PORT; prices travel over TLS only`);
  }
  return `https://${parts.host}${parts.pathname.replace(/(\/v1\/stream)?\/*$/, "")}`;
}

class Client extends EventTarget {
  /** @param {string} base @param {any} options */
  constructor(base, options) {
    const { WebSocket = globalThis.WebSocket, fetch = globalThis.fetch } = options;
    const { token, intervalMs, transport = "auto", whenHidden = "pause" } = options;
    super();
    const needed = { websocket: WebSocket, events: fetch, auto: WebSocket || fetch }[/** @type {"auto"} */ (transport)];
    if (intervalMs !== undefined && !natural(intervalMs)) throw new TickerError("intervalMs is a whole number");
    if (!needed) throw new TickerError(`transport ${transport}: what it needs is not here; give WebSocket or fetch`);
    this.#base = base;
    this.#token = token;
    this.#interval = intervalMs;
    this.#wish = transport;
    this.#WebSocket = WebSocket;
    this.#fetch = fetch?.bind(globalThis);
    this.#session = new Session(intervalMs);
    this.transport = transport === "events" || !WebSocket ? "events" : "websocket";
    this.#watchPage(whenHidden);
    this.#keepConnected();
  }

  #base;
  #token;
  #interval;
  #wish;
  #WebSocket;
  #fetch;
  #session;
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** @type {Link | undefined} */
  #link;
  /** Ends the present connection. @type {((end: End) => void) | undefined} */
  #leave;
  /** Ends the present wait. */
  #wake = () => {};
  #stopWatching = () => {};
  #asking = false;
  #hidden = false;
  /** Nothing is to be done until something is wanted, or the page is shown. */
  #idle = false;
  /** WebSockets that could not be had, one after the other, while HTTP could. */
  #failures = 0;
  #eventsUntil = 0;
  /** A token that was given beforehand, for the next connection. @type {string | undefined} */
  #fresh;
  /** @type {string | undefined} */
  #lastToken;
  /** Requests of users, by id. @type {Map<number, {resolve: (result: any) => void, reject: (error: any) => void}>} */
  #requests = new Map();

  /** @type {"connecting" | "connected" | "waiting" | "closed"} */
  state = "connecting";
  /** How many changes of an instrument came. */
  updates = 0;
  /** How many bytes of messages came (characters, of an event stream). */
  bytes = 0;

  get cut() {
    return this.#session.replica.cursor;
  }

  get time() {
    return new Date(this.#session.replica.time / 1000);
  }

  /** @param {string[]} names */
  subscribe(...names) {
    names = names.map(String);
    const subscription = new Subscription(names, this.#session.replica, (gone) => {
      if (!this.#subscriptions.delete(gone)) return;
      this.#session.giveUp(gone.names);
      this.#ask();
    });
    if (this.state === "closed") {
      subscription.end(this.#error);
      return subscription;
    }
    this.#subscriptions.add(subscription);
    this.#session.want(names);
    this.#ask();
    return subscription;
  }

  /** @type {TickerError | undefined} */
  #error;

  /** @param {string} symbol */
  values(symbol) {
    const held = this.#session.replica.find(symbol);
    return held ? held.fields(held.values) : Object.create(null);
  }

  /** @param {string} symbol @param {string} field */
  number(symbol, field) {
    return Number(this.values(symbol)[field] ?? NaN);
  }

  /** @param {string} symbol */
  instrument(symbol) {
    const known = this.#session.replica.definition(symbol);
    return known && described(known);
  }

  /** @param {string} match @param {{after?: string}} [options] */
  async search(match = "*", { after = "" } = {}) {
    if (this.#ready) {
      const result = await this.#request("instruments", { match, after });
      const found = result.get("instruments").map(definition).map(described);
      return { instruments: found, more: result.get("more") };
    }
    const query = new URLSearchParams({ match, after });
    const response = await this.#get(`/v1/instruments?${query}`, this.#lastToken ?? (await this.#freshToken()));
    if (!response.ok) throw failed(await refusal(response));
    const { instruments, more } = await response.json();
    const found = instruments.map((/** @type {any} */ each) =>
      described({ ...each, priceScale: each.price_scale, sizeScale: each.size_scale }),
    );
    return { instruments: found, more };
  }

  async stats() {
    return Object.fromEntries(await this.#request("stats", {}));
  }

  async ping() {
    const sent = performance.now();
    await this.#request("ping", {});
    return performance.now() - sent;
  }

  close() {
    this.#finish();
  }

  /** Whether requests can be sent now. */
  get #ready() {
    return this.state === "connected" && this.transport === "websocket";
  }

  /** @param {string} op @param {Record<string, any>} fields @returns {Promise<Map<string, any>>} */
  #request(op, fields) {
    if (!this.#ready) return Promise.reject(new TickerError(`${op}: there is no WebSocket at the moment`));
    return new Promise((resolve, reject) => {
      const request = this.#session.request(op, fields);
      this.#requests.set(request.id, { resolve, reject });
      this.#link?.send(request);
    });
  }

  /** @param {string} path @param {string | undefined} token */
  #get(path, token) {
    if (!this.#fetch) throw new TickerError("there is no fetch here: give one as an option");
    const signal = AbortSignal.timeout(CONNECT_MS);
    return this.#fetch(this.#base + path, { ...FETCHING, headers: authorization(token), signal });
  }

  /** @param {TickerError} [error] */
  #finish(error) {
    if (this.state === "closed") return;
    this.#error = error;
    this.#stopWatching();
    this.#become("closed", { reason: error?.message ?? "it was closed" });
    this.#leave?.({ reason: "it was closed" });
    this.#wake();
    for (const subscription of this.#subscriptions) subscription.end(error);
    this.#subscriptions.clear();
  }

  /**
   * @param {"connecting" | "connected" | "waiting" | "closed"} state
   * @param {{reason?: string, retryMs?: number, resumed?: boolean}} [more]
   */
  #become(state, more = {}) {
    this.state = state;
    this.dispatchEvent(event("state", { state, ...more }));
  }

  async #keepConnected() {
    await undefined; // whoever made this client listens first
    let backoff = BACKOFF_MS[0];
    while (this.state !== "closed") {
      if (this.#hidden || (this.transport === "events" && !this.#session.wanting)) {
        this.#become("waiting", { reason: this.#hidden ? "the page is hidden" : "nothing is subscribed" });
        this.#idle = true;
        await this.#wait();
        this.#idle = false;
        continue;
      }
      this.#become("connecting");
      const { end, useful } = await this.#oneConnection();
      if (/** @type {string} */ (this.state) === "closed") return;
      if (end.comeBack === false) return this.#finish(failed(end));
      if (useful || end.atOnce) backoff = BACKOFF_MS[0];
      if (end.atOnce) continue;
      const retryMs = Math.max(end.retryMs ?? 0, backoff * (0.5 + Math.random() / 2));
      backoff = Math.min(backoff * 2, BACKOFF_MS[1]);
      this.#become("waiting", { reason: end.reason, retryMs });
      await this.#wait(retryMs);
    }
  }

  /** @param {number} [ms] @returns {Promise<void>} */
  #wait(ms) {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Connect, and serve until the connection ends. @returns {Promise<{end: End, useful: boolean}>} */
  async #oneConnection() {
    let token;
    try {
      token = this.#lastToken = this.#fresh ?? (await this.#freshToken());
    } catch (error) {
      return { end: { reason: `no token could be had: ${why(error)}` }, useful: false };
    }
    this.#fresh = undefined;
    if (this.#hidden || this.state === "closed") return { end: { reason: LOST, atOnce: true }, useful: false };
    const again = this.#wish === "auto" && this.#WebSocket && performance.now() > this.#eventsUntil;
    if (again) this.transport = "websocket";
    const how = await this.#serve(token);
    for (const { reject } of this.#requests.values()) reject(failed(how.end));
    this.#requests.clear();
    if (how.welcomed) this.#failures = 0;
    const strange = !how.welcomed && this.transport === "websocket" && how.end.comeBack !== false && !this.#hidden;
    if (strange && this.#fetch) how.end = await this.#explained(how.end, token);
    return how;
  }

  /**
   * Why no WebSocket could be had: a browser does not tell, but HTTP does.
   * @param {End} end
   * @param {string | undefined} token
   * @returns {Promise<End>}
   */
  async #explained(end, token) {
    let response;
    try {
      response = await this.#get("/v1/instruments?match=-", token);
    } catch (error) {
      return { ...end, reason: why(error) };
    }
    if (!response.ok && response.status !== 404) return refusal(response);
    await response.body?.cancel();
    if (this.#wish === "auto" && ++this.#failures >= 2) {
      this.transport = "events";
      this.#eventsUntil = performance.now() + EVENTS_MS;
      return { reason: "a WebSocket cannot be had here", atOnce: true };
    }
    return end;
  }

  /** @param {string | undefined} token @returns {Promise<{end: End, useful: boolean, welcomed: boolean}>} */
  #serve(token) {
    return new Promise((resolve) => {
      const session = this.#session;
      const streamed = this.transport === "events" ? session.streamed() : undefined;
      const how = { end: /** @type {End} */ ({ reason: LOST }), useful: false, welcomed: false };
      let patience = CONNECT_MS;
      let heard = performance.now();
      /** @type {any} */
      let timer;
      let over = false;
      const leave = (/** @type {End} */ end) => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        this.#link?.close();
        this.#link = this.#leave = undefined;
        resolve({ ...how, end });
      };
      // What the server said of the end counts, and then how the connection ended.
      const end = (/** @type {End} */ last) => {
        const said = how.end.reason === LOST ? {} : how.end;
        leave({ ...last, ...said, ...(last.comeBack === false && { comeBack: false }) });
      };
      const watch = (late = false) => {
        const left = heard + patience - performance.now();
        // A page that was busy, or asleep, gets what waits for it first.
        if (left > 0) timer = setTimeout(watch, left);
        else if (!late) timer = setTimeout(watch, 1000, true);
        else leave({ ...how.end, reason: `nothing was heard for ${Math.round(patience / 1000)} s` });
      };
      const message = (/** @type {any} */ payload, /** @type {number} */ size) => {
        if (over) return;
        heard = performance.now();
        this.bytes += size;
        try {
          if (!streamed && typeof payload === "string") throw malformed("a text message on a binary connection");
          const decoded = decode(payload);
          if (how.welcomed) this.#take(decoded, how);
          else if (decoded?.kind !== "welcome") throw malformed("the first message of a connection is WELCOME");
          else {
            how.welcomed = true;
            patience = decoded.heartbeatMs > 0 ? 2.5 * decoded.heartbeatMs : 2 ** 31 - 1; // the longest time of a timer
            clearTimeout(timer);
            watch();
            if (streamed) session.beginStream(decoded, streamed);
            else session.begin(decoded);
            this.#become("connected", { resumed: session.replica.resuming });
            this.#ask();
          }
        } catch (error) {
          leave({ reason: `the server broke the protocol: ${why(error)}` });
          if (!(error instanceof TickerError)) throw error;
        }
      };
      this.#leave = leave;
      watch();
      const ears = { message, end, heard: () => (heard = performance.now()) };
      try {
        if (streamed) this.#link = this.#openEvents(streamed, token, ears);
        else this.#link = openWebSocket(this.#base, token, this.#WebSocket, ears);
      } catch (error) {
        leave({ reason: why(error), comeBack: false });
      }
    });
  }

  /** @param {ReturnType<Session["streamed"]>} streamed @param {string | undefined} token @param {Ears} ears */
  #openEvents({ names, lastEventId, refused }, token, ears) {
    for (const each of refused) this.dispatchEvent(event("refused", each));
    const headers = { ...authorization(token), ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }) };
    const interval = this.#interval === undefined ? "" : `&interval_ms=${this.#interval}`;
    const query = `symbols=${names.map(encodeURIComponent).join(",")}${interval}`;
    return openEvents(this.#base, query, headers, this.#fetch, ears);
  }

  /** What a message means for this client. @param {any} message @param {{end: End, useful: boolean}} how */
  #take(message, how) {
    const received = this.#session.receive(message);
    if (message?.kind === "goodbye") how.end = message;
    if (message?.kind === "expiring") this.#renew();
    if (message?.kind === "error" && message.fatal) {
      how.end = { reason: message.text, comeBack: message.code === BAD_TOKEN, code: message.code };
    }
    if (message?.kind === "reply" || message?.kind === "error") {
      const request = this.#requests.get(message.id);
      this.#requests.delete(message.id);
      if (message.kind === "reply") request?.resolve(message.result);
      else request?.reject(new TickerError(message.text, message.code));
      this.#ask(); // it may be that something has to be asked anew
    }
    for (const each of received.refused) this.dispatchEvent(event("refused", each));
    how.useful ||= this.#session.settled;
    if (received.changes) this.#publish(received.changes);
    if (received.tokenRefused !== undefined) this.#leave?.({ reason: received.tokenRefused });
  }

  /** @param {Record<string, any>} changes */
  #publish(changes) {
    const count = Object.keys(changes).length;
    if (count === 0) return;
    this.updates += count;
    for (const subscription of this.#subscriptions) subscription.take(changes);
    this.dispatchEvent(event("change", { change: changeOf(this.#session.replica, changes) }));
  }

  /** Let the server know what is wanted, once for all that is said now. */
  #ask() {
    if (this.#asking) return;
    this.#asking = true;
    queueMicrotask(() => {
      this.#asking = false;
      if (this.#idle && !this.#hidden && this.#session.wanting) this.#wake();
      if (this.state !== "connected") return;
      if (this.transport === "websocket") for (const request of this.#session.requests()) this.#link?.send(request);
      else if (!this.#session.current) this.#leave?.({ reason: "other names are wanted", atOnce: true });
    });
  }

  /** @returns {Promise<string | undefined>} */
  async #freshToken() {
    return typeof this.#token === "function" ? this.#token() : this.#token;
  }

  /** The token expires soon: bring a fresh one, if there is any. */
  async #renew() {
    const leave = this.#leave;
    if (typeof this.#token !== "function") return;
    // If none can be had, the connection will end, and the next one asks again.
    const fresh = await this.#freshToken().catch(() => undefined);
    if (fresh === undefined || leave !== this.#leave) return;
    const another = fresh !== this.#lastToken;
    this.#lastToken = fresh;
    if (this.transport === "websocket") this.#link?.send(this.#session.request("auth", { token: fresh }));
    else if (another) {
      this.#fresh = fresh;
      leave?.({ reason: "a fresh token was brought", atOnce: true });
    }
  }

  /** A hidden page stops its traffic, and catches up when it is shown. @param {string} whenHidden */
  #watchPage(whenHidden) {
    const page = globalThis.document;
    if (whenHidden !== "pause" || !page) return;
    /** @type {any} */
    let timer;
    const pause = () => {
      this.#hidden = true;
      this.#leave?.({ reason: "the page is hidden", atOnce: true });
    };
    const look = () => {
      clearTimeout(timer);
      if (page.hidden) timer = setTimeout(pause, HIDDEN_MS);
      else if (this.#hidden) {
        this.#hidden = false;
        this.#wake();
      }
    };
    page.addEventListener("visibilitychange", look);
    this.#stopWatching = () => {
      clearTimeout(timer);
      page.removeEventListener("visibilitychange", look);
    };
    look();
  }
}

/** @param {string | undefined} token @returns {Record<string, string>} */
const authorization = (token) => (token === undefined ? {} : { Authorization: `Bearer ${token}` });

/** @param {End} end */
const failed = ({ reason, code }) => new TickerError(reason, code);

/** @param {any} definition */
const described = ({ symbol, priceScale, sizeScale, metadata }) => ({ symbol, priceScale, sizeScale, metadata });
