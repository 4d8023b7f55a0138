// The golden frames of PROTOCOL.md, section 10, as checks that run wherever the client does: in Node and in a page.

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (each) => parseInt(each, 16));
const payload = (frame, form) => (form === "json" ? frame.json : bytes(frame.msgpack));

const NAMES = [, "bid", "bid_size", "ask", "ask_size", "last", "last_size", "open", "high", "low", "prev_close", "volume",
  "trade_count", "time", "status", "reason", "bids", "asks", "trades", "candles"];
const [PRICES, SIZES] = [[1, 3, 5, 7, 8, 9, 10], [2, 4, 6, 11]];
// Columns of rows: p a price, s a size, - anything else.
const COLUMNS = { 16: "ps", 17: "ps", 18: "-ps---", 19: "-pppps-" };

/** A value as a text that does not depend on the order of keys. */
function canonical(value) {
  if (value instanceof Map) return canonical(Object.fromEntries(value));
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "undefined";
  const entries = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${entries}}`;
}

function assertSame(actual, expected, name) {
  const [found, stated] = [actual, expected].map(canonical);
  if (found !== stated) throw new Error(`${name}: ${found} is not ${stated}`);
}

/** A scaled integer as a decimal text; other values as they are. */
function decimal(value, scale) {
  if (typeof value !== "number" || scale === undefined) return value;
  const digits = String(Math.abs(value)).padStart(scale + 1, "0");
  const point = digits.length - scale;
  return `${value < 0 ? "-" : ""}${digits.slice(0, point)}${scale ? "." : ""}${digits.slice(point)}`;
}

function shown({ priceScale, sizeScale }, key, value) {
  if (!(key in COLUMNS)) {
    const scale = PRICES.includes(key) ? priceScale : SIZES.includes(key) ? sizeScale : undefined;
    return Array.isArray(value) ? value[0] : decimal(value, scale);
  }
  const kinds = COLUMNS[key];
  const cells = value.map((cell, at) => decimal(cell, { p: priceScale, s: sizeScale }[kinds[at % kinds.length]]));
  return Array.from({ length: cells.length / kinds.length }, (_, row) => cells.slice(row * kinds.length, (row + 1) * kinds.length));
}

/** The client's cursor, its copy in the form of the file, and the checksum. */
function state({ replica }) {
  const copy = {};
  for (const each of replica.records) {
    copy[each.definition.symbol] = {};
    for (const [key, value] of each.wire()) {
      copy[each.definition.symbol][typeof key === "number" ? NAMES[key] : key] = shown(each.definition, key, value);
    }
  }
  return { cursor: replica.cursor, copy, digest: replica.digest() };
}

/** Requests with their names in the order of the alphabet: their order is the client's own choice. */
const sortedNames = (requests) => requests.map((request) => Object.fromEntries(
  Object.entries(request).map(([key, value]) => [key, Array.isArray(value) ? [...value].sort() : value]),
));

/** Play a conversation to a client; throws where the client does something else. Returns its session. */
function play({ ClientSession, TickerError, decode }, { steps }, form) {
  const session = new ClientSession();
  let [sent, wanted, connected] = [[], new Map(), false];
  for (const step of steps) {
    if (!step.sends) assertSame(sent.length, step.presents || step.asks ? sent.length : 0, `requests before ${canonical(step)}`);
    if (step.sends) {
      assertSame(sortedNames(sent), sortedNames(step.sends), "the requests");
      sent = [];
    } else if (step.wants) {
      const now = new Map(step.wants.map((name) => [name, step.fields?.[name]?.toSorted().join(",")]));
      const differ = (name) => !wanted.has(name) || !now.has(name) || wanted.get(name) !== now.get(name);
      for (const [name, fields] of now) if (differ(name)) session.want([name], fields);
      for (const [name, fields] of wanted) if (differ(name)) session.giveUp([name], fields);
      wanted = now;
    } else if (step.presents) sent.push(session.request("auth", { token: step.presents }));
    else if (step.asks) sent.push(session.request("digest", {}));
    else if (step.closed) connected = false;
    else if (step.refused) {
      refuses(session, () => session.receive(decode(payload(step, form))), TickerError);
      session.refuseMessage();
    } else if (connected) {
      const message = decode(payload(step, form));
      const received = session.receive(message);
      assertSame(message?.kind === "expiring", step.expiring ?? false, `${step.receives}: a fresh token`);
      assertSame(received.verdict?.equal === false, step.mismatch ?? false, `${step.receives}: a mismatch`);
    } else {
      session.begin(decode(payload(step, form)));
      connected = true;
    }
    if (step.receives) {
      const { cursor, copy, digest } = step;
      assertSame(state(session), { cursor, copy, digest }, step.receives);
      assertSame(session.limits, step.limits ?? session.limits, `${step.receives}: limits`);
      const delay = session.features?.delay;
      assertSame(delay, step.delay ?? delay, `${step.receives}: the delay`);
      const silent = session.sourceSilentSince ?? null;
      assertSame(silent, "silent" in step ? step.silent : silent, `${step.receives}: the source`);
      for (const name of step.stale ?? []) assertSame(session.replica.find(name).present().status, "stale", step.receives);
    }
    if (connected && !step.sends) sent.push(...session.requests());
  }
  assertSame(sent, [], "requests at the end");
  return session;
}

function refuses(session, deed, TickerError) {
  const before = state(session);
  try {
    deed();
  } catch (error) {
    if (!(error instanceof TickerError)) throw error;
    assertSame(state(session), before, "the copy after a refusal");
    return;
  }
  throw new Error("it was taken");
}

/** Each check as [name, function that throws if it fails]. `client` is the module, `golden` the content of the file. */
export function* checks(client, { conversations }, forms = ["msgpack", "json"]) {
  for (const conversation of conversations) {
    for (const form of forms) {
      yield [`${conversation.name}: each ${form} message leaves the stated copy`, () => play(client, conversation, form)];
      const refused = conversation.refused.filter((each) => form in each);
      if (refused.length === 0) continue;
      yield [`${conversation.name}: each malformed ${form} message is refused whole`, () => {
        const session = play(client, conversation, form);
        for (const frame of refused) {
          try {
            refuses(session, () => session.receive(client.decode(payload(frame, form))), client.TickerError);
          } catch (error) {
            throw new Error(`${frame.name}: ${error}`);
          }
        }
      }];
    }
    yield [`${conversation.name}: both encodings mean the same`, () => {
      for (const frame of conversation.steps.filter((each) => each.receives)) {
        assertSame(client.decode(payload(frame, "msgpack")), client.decode(payload(frame, "json")), frame.receives);
      }
    }];
  }
}
